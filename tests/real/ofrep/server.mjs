// An application that evaluates flags through OpenFeature and the OFREP provider of Node.

import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";
import { answer } from "./steps.mjs";

const provider = (token) =>
  new OFREPProvider({ baseUrl: process.env.SERIN_URL, headers: [["Authorization", `Bearer ${token}`]] });

await OpenFeature.setProviderAndWait(provider(process.env.SERIN_TOKEN));
const client = OpenFeature.getClient();

await answer({
  async labels({ key, users }) {
    const found = [];
    for (const user of users) found.push(await client.getStringValue(key, "none", { targetingKey: user }));
    return found;
  },
  async details({ key, user, kind = "string", token, attributes = {} }) {
    let asked = client;
    if (token !== undefined) {
      await OpenFeature.setProviderAndWait("stranger", provider(token));
      asked = OpenFeature.getClient("stranger");
    }
    const context = { ...attributes, ...(user ? { targetingKey: user } : {}) };
    const found =
      kind === "string"
        ? await asked.getStringDetails(key, "none", context)
        : kind === "object"
          ? await asked.getObjectDetails(key, {}, context)
          : await asked.getBooleanDetails(key, false, context);
    return {
      value: found.value, variant: found.variant, reason: found.reason, error: found.errorCode ?? null,
      metadata: found.flagMetadata,
    };
  },
});
