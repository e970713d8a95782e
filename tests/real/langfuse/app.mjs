// An application that uses a JavaScript SDK of Langfuse with its default settings: `langfuse` (version 3) or
// `@langfuse/client` (version 5). It speaks like app.py: a line of JSON for each step, one for each answer.

import readline from "node:readline";

const keys = { publicKey: "pk-lf-app", secretKey: process.env.SERIN_TOKEN, baseUrl: process.env.SERIN_URL };

class Version3 {
  constructor(sdk) {
    this.sdk = sdk;
    this.langfuse = new sdk.Langfuse(keys);
  }
  other(token) {
    return token ? new this.sdk.Langfuse({ ...keys, secretKey: token }) : this.langfuse;
  }
  create(draft) {
    const { commit_message, ...rest } = draft;
    return this.langfuse.createPrompt({ ...rest, commitMessage: commit_message });
  }
  get(name, { token, version, ...options }) {
    return this.other(token).getPrompt(name, version, options);
  }
  label({ name, version, labels, token }) {
    return this.other(token).updatePrompt({ name, version, newLabels: labels });
  }
  async trace({ name, user, label }) {
    const prompt = await this.langfuse.getPrompt(name, undefined, { label });
    const trace = this.langfuse.trace({ name: "request", userId: user });
    trace.generation({ name: "call", prompt, input: "?", output: "!" }).end();
    return trace.id;
  }
  score(score) {
    this.langfuse.score(score);
  }
  flush() {
    return this.langfuse.flushAsync();
  }
}

class Version5 {
  constructor(sdk) {
    this.sdk = sdk;
    this.langfuse = new sdk.LangfuseClient(keys);
  }
  other(token) {
    return token ? new this.sdk.LangfuseClient({ ...keys, secretKey: token }) : this.langfuse;
  }
  create(draft) {
    const { commit_message, ...rest } = draft;
    return this.langfuse.prompt.create({ ...rest, commitMessage: commit_message });
  }
  get(name, { token, ...options }) {
    return this.other(token).prompt.get(name, options);
  }
  label({ name, version, labels, token }) {
    return this.other(token).prompt.update({ name, version, newLabels: labels });
  }
  score(score) {
    this.langfuse.score.create(score);
  }
  flush() {
    return this.langfuse.flush();
  }
}

function shown(prompt) {
  const { name, version, config, labels, tags, isFallback, commitMessage } = prompt;
  return { name, version, prompt: prompt.prompt, config, labels, tags, is_fallback: isFallback, commit_message: commitMessage };
}

class App {
  constructor(client) {
    this.client = client;
  }
  async create(draft) {
    return shown(await this.client.create(draft));
  }
  async fetch({ name, ...which }) {
    return shown(await this.client.get(name, which));
  }
  async fallback({ name }) {
    return shown(await this.client.get(name, { fallback: "Hello {{name}}" }));
  }
  async compile({ name, variables, placeholders, ...which }) {
    return (await this.client.get(name, which)).compile(variables, placeholders);
  }
  async label(change) {
    await this.client.label(change);
    return true;
  }
  trace(call) {
    return this.client.trace(call);
  }
  score({ scores }) {
    for (const { score_id, trace_id, data_type, ...score } of scores) {
      this.client.score({ ...score, id: score_id, traceId: trace_id, dataType: data_type });
    }
    return true;
  }
  async flush() {
    await this.client.flush();
    return true;
  }
}

const client = process.argv[2] === "3" ? new Version3(await import("langfuse")) : new Version5(await import("@langfuse/client"));
const app = new App(client);
console.log("answer:", JSON.stringify({ ok: "ready" }));
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { step, arguments: given } = JSON.parse(line);
  const began = performance.now();
  let answer;
  try {
    answer = { ok: (await app[step](given)) ?? null };
  } catch (raised) {
    answer = { error: `${raised?.name}: ${raised?.message}` };
  }
  answer.seconds = (performance.now() - began) / 1000;
  console.log("answer:", JSON.stringify(answer));
}
process.exit(0);
