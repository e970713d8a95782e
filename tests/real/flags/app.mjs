// An application that evaluates by itself with the JavaScript SDK of another system, named as its argument.

import { EventSource } from "eventsource";
import { answer } from "./steps.mjs";

const url = process.env.SERIN_URL;
const token = process.env.SERIN_TOKEN;
// How often the flag file is asked for anew; flagd's core itself fetches nothing.
const FILE_MS = 100;

const sdks = {
  async growthbook() {
    const { GrowthBookClient, setPolyfills } = await import("@growthbook/growthbook");
    setPolyfills({ EventSource });
    const client = new GrowthBookClient({ apiHost: url, clientKey: token });
    await client.init({ streaming: true });
    return (key, user) => client.getFeatureValue(key, "none", { attributes: { id: user } });
  },
  async unleash() {
    const { initialize, InMemStorageProvider } = await import("unleash-client");
    const client = initialize({
      url: `${url}/api`, appName: "real-run", customHeaders: { Authorization: token },
      storageProvider: new InMemStorageProvider(), experimentalMode: { type: "streaming" },
    });
    client.on("error", (error) => console.error(error));
    await new Promise((ready) => client.once("synchronized", ready));
    return (key, user) => client.getVariant(key, { userId: user }).payload?.value ?? "none";
  },
  async flagd() {
    const { FlagdCore } = await import("@openfeature/flagd-core");
    const quiet = { error() {}, warn() {}, info() {}, debug() {} };
    const core = new FlagdCore(undefined, quiet);
    let tag;
    const fetchFile = async () => {
      const headers = { Authorization: `Bearer ${token}`, ...(tag ? { "If-None-Match": tag } : {}) };
      const file = await fetch(`${url}/flagd/v2/flags.json`, { headers });
      if (file.status === 304) return;
      if (file.status !== 200) throw new Error(await file.text());
      core.setConfigurations(await file.text());
      tag = file.headers.get("etag");
    };
    await fetchFile();
    setInterval(() => fetchFile().catch((error) => console.error(error)), FILE_MS);
    return (key, user) => core.resolveStringEvaluation(key, "none", { targetingKey: user }, quiet).value;
  },
};

const label = await sdks[process.argv[2]]();
await answer({ labels: ({ key, users }) => users.map((user) => label(key, user)) });
