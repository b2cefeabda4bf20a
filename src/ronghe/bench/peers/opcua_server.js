// An OPC UA server that is not ours (node-opcua), for tests and benchmarks.
// Usage: node opcua_server.js '{"port": 0, "pki": "/tmp/pki", "tags": 0, "every": 100, "users": {"ann": "secret"}, "accept": true, "limits": {}}'
// Prints one line of JSON when it listens: {"port": …}. Ends when its standard input does.
"use strict";
const fs = require("node:fs");
const net = require("node:net");
const {
    OPCUAServer, OPCUACertificateManager, DataType, StatusCodes, VariantArrayType, MessageSecurityMode, SecurityPolicy,
    standardUnits, makeAccessLevelFlag,
} = (() => {
    const names = {};
    for (const part of [
        "node-opcua-server", "node-opcua-certificate-manager", "node-opcua-variant", "node-opcua-data-value", "node-opcua-status-code",
        "node-opcua-secure-channel", "node-opcua-data-access", "node-opcua-data-model",
    ]) Object.assign(names, require(part));
    return names;
})();

const config = { port: 0, tags: 0, every: 100, users: {}, accept: true, limits: {}, ...JSON.parse(process.argv[2] || "{}") };

function freePort() {
    return new Promise((resolve) => {
        const probe = net.createServer().listen(0, "127.0.0.1", () => {
            const { port } = probe.address();
            probe.close(() => resolve(port));
        });
    });
}

// A press: what moves, what stands still, one node of each type, what may be written, and what cannot be a sample.
function press(server) {
    const space = server.engine.addressSpace;
    const own = space.registerNamespace("http://example.org/press");
    const machine = own.addObject({ organizedBy: space.rootFolder.objects, browseName: "Press", nodeId: "s=Press" });
    const moving = [];

    const analog = (name, dataType, unit, range) => {
        const node = own.addAnalogDataItem({
            componentOf: machine, browseName: name, nodeId: `s=Press.${name}`, dataType,
            engineeringUnits: unit, engineeringUnitsRange: range, value: { dataType: DataType[dataType], value: 0 },
            accessLevel: "CurrentRead", userAccessLevel: "CurrentRead", description: `${name} of the press`,
        });
        moving.push([node, DataType[dataType]]);
    };
    analog("Temperature", "Double", standardUnits.degree_celsius, { low: 0, high: 400 });
    analog("Speed", "Float", standardUnits.revolutions_per_minute || standardUnits.metre_per_second, { low: 0, high: 3000 });
    analog("Count", "UInt32", standardUnits.percent, { low: 0, high: 1e6 });

    const types = own.addObject({ componentOf: machine, browseName: "Types", nodeId: "s=Press.Types" });
    const fixed = (name, dataType, value, more = {}) =>
        own.addVariable({
            componentOf: types, browseName: name, nodeId: `s=Types.${name}`, dataType, 
            value: { dataType: DataType[dataType], arrayType: VariantArrayType.Scalar, value, ...more.variant },
            accessLevel: more.write ? "CurrentRead | CurrentWrite" : "CurrentRead",
            userAccessLevel: more.write ? "CurrentRead | CurrentWrite" : "CurrentRead", ...more.node,
        });
    fixed("Boolean", "Boolean", true);
    fixed("SByte", "SByte", -5);
    fixed("Byte", "Byte", 200);
    fixed("Int16", "Int16", -300);
    fixed("UInt16", "UInt16", 60000);
    fixed("Int32", "Int32", -70000);
    fixed("UInt32", "UInt32", 4000000000);
    fixed("Int64", "Int64", [0, 7]);
    fixed("Float", "Float", 1.5);
    fixed("Double", "Double", 2.25);
    fixed("String", "String", "Pressenraum 压机");
    fixed("LocalizedText", "LocalizedText", { text: "bereit", locale: "de" });
    fixed("DateTime", "DateTime", new Date());
    fixed("Array", "Double", [1, 2, 3], { variant: { arrayType: VariantArrayType.Array }, node: { valueRank: 1, arrayDimensions: [3] } });
    for (const name of ["Boolean", "Int16", "Byte", "Float", "Double", "Int64", "String"]) {
        const start = { Boolean: false, Int64: [0, 0], String: "" }[name];
        fixed(`Write${name}`, name, start === undefined ? 0 : start, { write: true });
    }
    const bad = fixed("Bad", "Double", 1);
    bad.setValueFromSource({ dataType: DataType.Double, value: 1 }, StatusCodes.BadSensorFailure);
    // The same node by a second way, and a way back up: browsing must not run in circles.
    machine.addReference({ referenceType: "Organizes", nodeId: types });
    types.addReference({ referenceType: "Organizes", nodeId: machine });

    let turn = 0;
    setInterval(() => {
        turn += 1;
        for (const [node, dataType] of moving) node.setValueFromSource({ dataType, value: 20 + (turn % 100) });
    }, 50);
}

// Many doubles that all change at once, each with its source time, as an application of node-opcua sets them.
function load(server) {
    const space = server.engine.addressSpace;
    const own = space.registerNamespace("http://example.org/load");
    const folder = own.addFolder(space.rootFolder.objects, { browseName: "Load", nodeId: "s=Load" });
    const nodes = [];
    for (let i = 0; i < config.tags; i += 1) {
        nodes.push(own.addVariable({
            organizedBy: folder, browseName: `T${i}`, nodeId: `i=${1000 + i}`, dataType: "Double", minimumSamplingInterval: config.every,
            value: { dataType: DataType.Double, value: 0 },
        }));
    }
    let turn = 0;
    setInterval(() => {
        turn += 1;
        const time = new Date();
        for (let i = 0; i < nodes.length; i += 1) {
            nodes[i].setValueFromSource({ dataType: DataType.Double, value: turn + i }, StatusCodes.Good, time);
        }
    }, config.every);
}

async function main() {
    const port = config.port || (await freePort());
    const manager = new OPCUACertificateManager({ rootFolder: config.pki, automaticallyAcceptUnknownCertificate: config.accept });
    await manager.initialize();
    const named = Object.keys(config.users).length > 0;
    const server = new OPCUAServer({
        port, serverCertificateManager: manager, userCertificateManager: manager,
        // A name that nothing resolves, as devices behind a gateway announce it: a client must keep to the address it was given.
        alternateHostname: undefined, advertisedEndpoints: config.advertise ? [config.advertise] : undefined,
        allowAnonymous: !named,
        securityModes: config.modes ? config.modes.map((m) => MessageSecurityMode[m]) : undefined,
        securityPolicies: config.policies ? config.policies.map((p) => SecurityPolicy[p]) : undefined,
        userManager: { isValidUser: (name, password) => !named || config.users[name] === password },
        serverCapabilities: { maxSessions: 50, operationLimits: { ...config.limits } },
        serverInfo: { applicationUri: "urn:ronghe:peer", productUri: "ronghe-peer" },
        disableDiscovery: config.discovery === false,
    });
    await server.initialize();
    press(server);
    if (config.tags) load(server);
    await server.start();
    process.stdout.write(`${JSON.stringify({ port })}\n`);
    process.stdin.on("end", () => process.exit(0)).resume();
}

main().catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
});
