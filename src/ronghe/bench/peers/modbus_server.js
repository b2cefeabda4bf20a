// A Modbus TCP server made with modbus-serial. Usage: node modbus_server.js PORT (0: any free one); prints "ready PORT".
// Commands on standard input, one a line, each answered by one line: set TABLE START VALUE..., get TABLE START COUNT, requests, behave WORD.
// Registers 0..399 and coils and discrete inputs 0..2199, the same in every unit; registers 0 and 1 count tenths of a second.
// behave WORD: how it takes writes from now on: well; refuse (exception 4); ignore (says yes); clamp (register 20 takes no less than 100, says yes); die (takes the
// next one, answers nothing, and is gone until it behaves well again, its registers as they are).
// Holding register 200 and all above 399 do not exist; unit 9 never answers.
"use strict";

const { ServerTCP } = require("modbus-serial");

const tables = {
  holding: new Uint16Array(400),
  input: new Uint16Array(400),
  coil: new Uint8Array(2200),
  discrete: new Uint8Array(2200),
};
let requests = 0;
let behaviour = "well";
let gone = false;
const sockets = new Set();

function refuse(code) {
  const error = new Error("refused");
  error.modbusErrorCode = code;
  return error;
}

function at(table, address, unit, callback, use) {
  requests++;
  if (unit === 9 || gone) return;
  if (address >= tables[table].length || (table === "holding" && address === 200)) return callback(refuse(2));
  const tenths = Math.floor(Date.now() / 100);
  for (const t of ["holding", "input"]) {
    tables[t][0] = tenths;
    tables[t][1] = tenths * 7;
  }
  try {
    return callback(null, use(tables[table]));
  } catch (error) {
    return callback(error);
  }
}

const read = (table) => (address, unit, callback) => at(table, address, unit, callback, (t) => t[address]);
const write = (table) => (address, value, unit, callback) =>
  at(table, address, unit, behaviour === "die" ? () => die() : callback, (t) => {
    if (behaviour === "refuse") throw refuse(4);
    if (behaviour !== "ignore") t[address] = behaviour === "clamp" && address === 20 ? Math.max(value, 100) : value;
  });

function die() {
  gone = true;
  sockets.forEach((socket) => socket.destroy());
}

const vector = {
  getInputRegister: read("input"),
  getHoldingRegister: read("holding"),
  getCoil: (address, unit, callback) => at("coil", address, unit, callback, (t) => t[address] === 1),
  getDiscreteInput: (address, unit, callback) => at("discrete", address, unit, callback, (t) => t[address] === 1),
  setRegister: write("holding"),
  setCoil: write("coil"),
};

// ServerTCP takes port 0 for its default, 502: a free one is looked for here.
function serve(port) {
  const server = new ServerTCP(vector, { host: "127.0.0.1", port, debug: false, unitID: 255 });
  server.on("initialized", () => console.log(`ready ${port}`));
  server._server.on("connection", (socket) => {
  if (gone) return socket.destroy();
  sockets.add(socket);
  socket.on("close", () => sockets.delete(socket));
});
server.on("socketError", () => {});
  server.on("serverError", (error) => {
    console.error(error);
    process.exit(1);
  });
}

const wanted = Number(process.argv[2] || 0);
if (wanted) {
  serve(wanted);
} else {
  const probe = require("net").createServer().listen(0, "127.0.0.1", () => {
    const { port } = probe.address();
    probe.close(() => serve(port));
  });
}

require("readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [word, table, start, ...rest] = line.trim().split(/\s+/);
    if (word === "requests") {
      console.log(requests);
      requests = 0;
    } else if (word === "behave") {
      behaviour = table;
      if (behaviour === "well") gone = false;
      console.log("ok");
    } else if (word === "set") {
      rest.forEach((value, i) => (tables[table][Number(start) + i] = Number(value)));
      console.log("ok");
    } else {
      console.log(Array.from(tables[table].slice(Number(start), Number(start) + Number(rest[0]))).join(" "));
    }
  })
  .on("close", () => process.exit(0));
