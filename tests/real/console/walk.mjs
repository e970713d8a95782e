// Walks through the console in a headless Chromium: with and without JavaScript, in light and in dark, wide
// and on a phone. Prints one line of JSON for each thing that was looked at.
import { createRequire } from "node:module";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [url, executablePath, pictures, rollouts] = process.argv.slice(2);
const { scripted, plain, failing } = JSON.parse(rollouts);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const WAIT_MS = 20000;

const check = (ok, what) => console.log(JSON.stringify({ ok: Boolean(ok), what }));
mkdirSync(pictures, { recursive: true });

// Every message of a page that a developer would call an error.
const listen = (page, name, origin = url) => {
  page.on("console", (message) => {
    if (message.type() === "error") check(false, `${name}: the browser says: ${message.text()} at ${page.url()}`);
  });
  page.on("pageerror", (error) => check(false, `${name}: ${error}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(origin)) check(false, `${name}: a request went to ${request.url()}`);
  });
};

const accessible = async (page, name) => {
  await page.evaluate(axe);
  const found = await page.evaluate((values) => window.axe.run(document, { runOnly: { type: "tag", values } }), RULES);
  const told = found.violations.map((rule) => `${rule.id}: ${rule.nodes.slice(0, 3).map((node) => node.html).join(" ")}`);
  check(told.length === 0, `${name}: no accessibility violation${told.length ? `, but ${told.join("; ")}` : ""}`);
  check(found.passes.length > 10, `${name}: ${found.passes.length} accessibility rules were held`);
};

const says = async (page, text, what) => {
  const seen = await page.getByText(text).first().waitFor({ timeout: WAIT_MS }).then(() => true, () => false);
  check(seen, `${what}: the page says ${text}`);
};

// Asks for a verb on its page, as a person does.
const ask = async (page, verb, reason, name) => {
  await page.locator(`#ask-${verb}`).click();
  if (name) await page.getByLabel("Your name").fill(name);
  await page.getByLabel("Reason").fill(reason);
  await page.locator("form button.primary").click();
  await page.waitForURL(/\/rollouts\/r\d+\?done=/);
};

const walk = async (page, rollout, name) => {
  await page.goto(url);
  await page.getByRole("link", { name: rollout.policy, exact: true }).click();
  await page.waitForURL(`**/rollouts/${rollout.id}`);
  await says(page, "Baking until", name);
  await ask(page, "pause", "lunch is ready", "Ann");
  await says(page, "Done: Pause", name);
  await says(page, "local:Ann asked for it: lunch is ready", name);
  await ask(page, "resume", "lunch is over");
  await says(page, "Done: Resume", name);
  await ask(page, "rollback", "it was only a try");
  await says(page, "Done: Roll back", name);
  await says(page, "local:Ann asked for it: it was only a try", name);
  check((await page.locator("#ask-pause").count()) === 0, `${name}: nothing is left to pause`);
};

// Fills a version's variables in, looks at the messages, and keeps them as a version.
const play = async (page, policy, name) => {
  await page.goto(`${url}/prompts/${policy}`);
  await page.getByRole("link", { name: "Open in the playground" }).first().click();
  await page.getByLabel("question").fill("Where is <my> order?");
  await page.getByLabel("record").fill("shipped yesterday");
  await page.getByRole("button", { name: "Show the messages" }).click();
  await says(page, "Record: shipped yesterday", name);
  check(await page.getByLabel("Message 2", { exact: true }).getByText("Where is <my> order?").isVisible(), `${name}: what was filled in is shown as it is`);
  await accessible(page, `${name}, with messages`);
  await page.getByLabel("Reason").fill("it reads better");
  await page.getByRole("button", { name: "Save as a new version" }).click();
  await says(page, "Saved as version 3", name);
};

// What somebody meets who has no mouse.
const byKeyboard = async (page, name) => {
  await page.goto(`${url}/rollouts/${scripted.id}`);
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
  await page.keyboard.press("Tab");
  check((await focused()) === "Skip to the content", `${name}: the first stop leads to the content, not ${await focused()}`);
  await page.keyboard.press("Enter");
  check((await page.evaluate(() => document.activeElement.id)) === "main", `${name}: the content has the focus`);
  const seen = [];
  for (let stop = 0; stop < 12; stop += 1) {
    await page.keyboard.press("Tab");
    seen.push(await focused());
  }
  const asks = ["Pause …", "Next step …", "Promote …", "Roll back …"];
  check(asks.every((ask) => seen.includes(ask)), `${name}: every button can be reached: ${seen.join(", ")}`);
  await page.locator("#ask-pause").focus();
  const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  check(ring === "solid", `${name}: the focus can be seen: ${ring}`);
};

// Keeps the report of a rollout as a person does, and opens the copy from the disk, where no server answers.
const keepReport = async (browser) => {
  const folder = mkdtempSync(join(tmpdir(), "serin-report-"));
  const copy = join(folder, "report.html");
  const reader = await browser.newPage();
  listen(reader, "report");
  await reader.goto(`${url}/rollouts/${failing.id}`);
  const answered = reader.waitForResponse(`${url}/rollouts/${failing.id}/report`);
  await reader.getByRole("link", { name: "Report", exact: true }).click();
  writeFileSync(copy, await (await answered).body());
  await reader.close();
  const address = pathToFileURL(copy).href;
  for (const [look, options] of Object.entries(looks)) {
    const name = `report from the disk, ${look}`;
    const context = await browser.newContext({ ...options, offline: true });
    const page = await context.newPage();
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    listen(page, name, address);
    await page.goto(address);
    await says(page, "The candidate is worse in", name);
    for (const part of ["Ladder", "Sample ratio", "Data quality", "History", "Policy"]) {
      const shown = await page.getByRole("heading", { name: part, exact: true }).isVisible();
      check(shown, `${name}: it has the part ${part}`);
    }
    check((await page.locator(".panel .chart svg polyline").count()) >= 4, `${name}: charts have lines`);
    check(await page.locator(".panel details table").first().isVisible(), `${name}: the numbers of the charts are open`);
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const expected = look === "dark" ? "rgb(14, 17, 22)" : "rgb(246, 247, 248)";
    check((await ground()) === expected, `${name}: its style is in force: ${await ground()}`);
    await page.screenshot({ path: join(pictures, `report-${look}.png`), fullPage: true });
    await accessible(page, name);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    check(wide <= 0, `${name}: the page is as wide as its window, not ${wide} wider`);
    await page.emulateMedia({ media: "print" });
    const ink = await page.evaluate(() => getComputedStyle(document.body).color);
    check(ink === "rgb(27, 31, 36)", `${name}: it is printed dark on white: ${ink}`);
    const paper = await page.pdf({ format: "A4", path: join(pictures, `report-${look}.pdf`) });
    check(paper.length > 10000, `${name}: it prints, in ${paper.length} bytes`);
    check(asked.join() === address, `${name}: nothing else was asked for: ${asked}`);
    await context.close();
  }
  rmSync(folder, { recursive: true });
};

const pages = {
  overview: "/",
  rollout: `/rollouts/${failing.id}`,
  running: `/rollouts/${scripted.id}`,
  pause: `/rollouts/${scripted.id}/pause`,
  policies: "/policies",
  policy: `/policies/${scripted.policy}?per_hour=20000`,
  prompts: "/prompts",
  prompt: `/prompts/${scripted.policy}`,
  playground: `/prompts/${scripted.policy}/playground`,
  "sign-in": "/sign-in",
};

const looks = {
  light: { colorScheme: "light", viewport: { width: 1280, height: 900 } },
  dark: { colorScheme: "dark", viewport: { width: 1280, height: 900 } },
  phone: { colorScheme: "light", viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};

// What a browser asks of the network by itself is off: the machine may have none.
const ARGUMENTS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

// The pictures of the README: in which look, and from which part of the page to which.
const README = {
  overview: { look: "light", from: "header.top", to: "#ticked" },
  rollout: { look: "dark", from: ".panel", to: ".panel .charts" },
};
const SPARE = 16;

const picture = async (page, name) => {
  const box = (part) => page.locator(README[name][part]).first().boundingBox();
  const [from, to] = [await box("from"), await box("to")];
  const clip = { x: from.x, y: from.y, width: from.width, height: to.y + to.height + SPARE - from.y };
  await page.screenshot({ path: join(pictures, `console-${name}.png`), fullPage: true, clip });
};

const browser = await chromium.launch({ executablePath, args: ARGUMENTS });
try {
  for (const [look, options] of Object.entries(looks)) {
    const context = await browser.newContext(options);
    for (const [name, path] of Object.entries(pages)) {
      const page = await context.newPage();
      listen(page, `${name}, ${look}`);
      const answer = await page.goto(url + path);
      check(answer.status() === 200, `${name}, ${look}: ${path} is answered with ${answer.status()}`);
      await page.screenshot({ path: join(pictures, `${name}-${look}.png`), fullPage: true });
      if (README[name]?.look === look) await picture(page, name);
      await accessible(page, `${name}, ${look}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      check(wide <= 0, `${name}, ${look}: the page is as wide as its window, not ${wide} wider`);
      if (name === "rollout") {
        await says(page, "The candidate is worse in", `${name}, ${look}`);
        check((await page.locator(".panel .chart svg polyline").count()) >= 4, `${name}, ${look}: charts have lines`);
      }
      await page.close();
    }
    await context.close();
  }

  await keepReport(browser);

  const live = await browser.newContext(looks.light);
  const watcher = await live.newPage();
  listen(watcher, "watcher");
  await watcher.goto(`${url}/rollouts/${scripted.id}`);
  const actor = await (await browser.newContext(looks.light)).newPage();
  listen(actor, "with scripts");
  await byKeyboard(actor, "by keyboard");
  const before = await watcher.evaluate(() => (window.unloaded = performance.timeOrigin));
  await walk(actor, scripted, "with scripts");
  await says(watcher, "local:Ann asked for it: it was only a try", "a page that was open all the time");
  check((await watcher.evaluate(() => window.unloaded)) === before, "the open page was not loaded anew");
  check((await watcher.locator("#told").textContent()).length > 0, "what changed was told to those who listen");

  await play(actor, scripted.policy, "with scripts");

  const without = await browser.newContext({ ...looks.light, javaScriptEnabled: false });
  const page = await without.newPage();
  listen(page, "without scripts");
  await walk(page, plain, "without scripts");
  // The rules themselves are a script, so here it is the console's own that does not run.
  const bare = await browser.newContext(looks.light);
  await bare.route(/\/static\/console\.js/, (route) => route.fulfill({ contentType: "text/javascript", body: "" }));
  for (const [name, path] of Object.entries(pages)) {
    const still = await bare.newPage();
    listen(still, `${name}, without scripts`);
    await still.goto(url + path);
    check((await still.locator("h1").count()) === 1, `${name}, without scripts: the page is whole`);
    await accessible(still, `${name}, without scripts`);
    await still.close();
  }
} finally {
  await browser.close();
}
