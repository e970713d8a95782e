// A page that evaluates flags through OpenFeature and the OFREP provider of the web, under Node: what a
// browser has and Node has not is set before the provider looks for it.

import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature, ProviderEvents } from "@openfeature/web-sdk";
import { EventSource } from "eventsource";
import { answer } from "./steps.mjs";

globalThis.EventSource = EventSource;
const WAIT_MS_MAX = 15_000;
let changes = 0;

const headers = [["Authorization", `Bearer ${process.env.SERIN_TOKEN}`]];
const provider = new OFREPWebProvider({ baseUrl: process.env.SERIN_URL, headers, cacheMode: "disabled" });
await OpenFeature.setContext({ targetingKey: "first" });
await OpenFeature.setProviderAndWait(provider);
const client = OpenFeature.getClient();
client.addHandler(ProviderEvents.ConfigurationChanged, () => changes++);

const label = (key) => client.getStringValue(key, "none");

await answer({
  async labels({ key, users }) {
    const found = [];
    for (const user of users) {
      await OpenFeature.setContext({ targetingKey: user });
      found.push(label(key));
    }
    return found;
  },
  async become({ key, user, attributes = {} }) {
    await OpenFeature.setContext({ targetingKey: user, ...attributes });
    changes = 0;
    return label(key);
  },
  // Waits without asking for anything: what changes comes through the stream.
  async changed({ key, from }) {
    for (let waited = 0; label(key) === from && waited < WAIT_MS_MAX; waited += 20) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return { label: label(key), changes };
  },
  async object({ key }) {
    return client.getObjectValue(key, {});
  },
});
