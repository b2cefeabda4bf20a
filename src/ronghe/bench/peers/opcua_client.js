// node-opcua's own client, as its documentation shows it: one session, one subscription, one group of monitored items.
// Usage: node opcua_client.js '{"url": …, "tags": 5000, "every": 100, "warm": 2, "measure": 6}'; prints one line of JSON.
"use strict";
const path = require("node:path");
const os = require("node:os");
const fs = require("node:fs");
const { OPCUAClient, ClientMonitoredItemGroup, ClientSubscription } = require("node-opcua-client");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { TimestampsToReturn } = require("node-opcua-service-read");
const { AttributeIds } = require("node-opcua-data-model");

const ask = JSON.parse(process.argv[2]);
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

async function main() {
    const pki = fs.mkdtempSync(path.join(os.tmpdir(), "pki-"));
    const manager = new OPCUACertificateManager({ rootFolder: pki, automaticallyAcceptUnknownCertificate: true });
    const client = OPCUAClient.create({ endpointMustExist: false, clientCertificateManager: manager });
    await client.connect(ask.url);
    const session = await client.createSession();
    const { value } = await session.read({ nodeId: "i=2255", attributeId: AttributeIds.Value });
    const space = value.value.indexOf("http://example.org/load");
    const subscription = await session.createSubscription2({
        requestedPublishingInterval: ask.every, requestedLifetimeCount: 1000, requestedMaxKeepAliveCount: 20,
        maxNotificationsPerPublish: 0, publishingEnabled: true, priority: 1,
    });
    const items = [];
    for (let i = 0; i < ask.tags; i += 1) items.push({ nodeId: `ns=${space};i=${1000 + i}`, attributeId: AttributeIds.Value });
    const tags = [], times = [], arrived = [];
    const group = ClientMonitoredItemGroup.create(
        subscription, items, { samplingInterval: ask.every, discardOldest: true, queueSize: 10 }, TimestampsToReturn.Both,
    );
    group.on("changed", (item, dataValue, index) => {
        tags.push(index);
        times.push(dataValue.sourceTimestamp.getTime());
        arrived.push(performance.timeOrigin + performance.now());
    });
    await new Promise((resolve) => group.once("initialized", resolve));
    await sleep(ask.warm);
    const cpu = process.cpuUsage(), start = performance.timeOrigin + performance.now();
    await sleep(ask.measure);
    const used = process.cpuUsage(cpu), end = performance.timeOrigin + performance.now();
    const seen = new Set(), lags = [];
    let all = 0;
    for (let i = 0; i < tags.length; i += 1) {
        if (arrived[i] < start || arrived[i] >= end) continue;
        all += 1;
        seen.add(times[i] * ask.tags + tags[i]);
        lags.push(arrived[i] - times[i]);
    }
    lags.sort((a, b) => a - b);
    const seconds = (end - start) / 1000, round = (x, n) => Number(x.toFixed(n));
    process.stdout.write(`${JSON.stringify({
        per_s: round(seen.size / seconds, 1), doubled: all - seen.size,
        lag_p50_ms: round(lags[Math.floor(lags.length * 0.5)], 1), lag_p99_ms: round(lags[Math.floor(lags.length * 0.99)], 1),
        cpu_s: round((used.user + used.system) / 1e6 / seconds, 4), us_a_sample: round((used.user + used.system) / Math.max(seen.size, 1), 2),
    })}\n`);
    fs.rmSync(pki, { recursive: true, force: true });
    process.exit(0);
}

main().catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
});
