// Answers steps: a line of JSON for each on standard input, one for each answer.

import readline from "node:readline";

export async function answer(steps) {
  console.log("answer: {}");
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { step, arguments: given } = JSON.parse(line);
    let told;
    try {
      told = { ok: await steps[step](given) };
    } catch (error) {
      told = { error: String(error?.stack ?? error) };
    }
    console.log(`answer: ${JSON.stringify(told)}`);
  }
  process.exit(0);
}
