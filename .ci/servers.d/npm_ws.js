// The server of `.ci/servers` on npm's ws. Does the same as `python_websockets.py`, which tells what.
//
//     node npm_ws.js PORT TLS_PORT CERTIFICATE_AND_KEY FOLDER
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const path = require('node:path');
const { WebSocket, WebSocketServer } = require('ws');

const BIGGEST = 32 << 20;
const PATIENCE = 10_000;
const SUBPROTOCOLS = ['v2.heartwire', 'v1.heartwire'];

const [port, tlsPort, certificate, folder] = process.argv.slice(2);

function fileOf(query) {
  const run = query.get('run');
  if (!/^[-a-z0-9]+$/i.test(run)) throw new Error('bad name of a run');
  return path.join(folder, run);
}

function echo(connection) {
  connection.on('message', (data, binary) => connection.send(data, { binary }));
}

function fragments(connection, query) {
  const size = Number(query.get('size'));
  connection.on('message', (data, binary) => {
    connection.send(data.subarray(0, size), { binary, fin: false });
    connection.send('', { binary, fin: false });
    connection.ping('in the middle');
    for (let start = size; start < data.length; start += size) {
      connection.send(data.subarray(start, start + size), { binary, fin: false });
    }
    connection.send('', { binary, fin: true });
  });
}

async function pings(connection) {
  function ping(payload) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('no pong in time')), PATIENCE);
      connection.once('pong', (data) => {
        clearTimeout(late);
        if (data.equals(payload)) resolve();
        else reject(new Error('a pong with another payload'));
      });
      connection.ping(payload);
    });
  }

  const asked = new Promise((resolve) => connection.once('message', resolve));
  await ping(Buffer.from('first of all'));
  await asked;
  const payloads = [Buffer.alloc(0), Buffer.alloc(1), Buffer.from([...Array(125).keys()])];
  for (const [number, payload] of payloads.entries()) {
    connection.send(`before ping ${number}`);
    await ping(payload);
  }
  connection.send(`${1 + payloads.length} pongs`);
}

function close(connection, query) {
  connection.once('message', () => {
    if (query.get('abrupt') === 'end') {
      connection.terminate();
    } else if (query.get('abrupt') === 'reset') {
      // Below TLS, if there is any: only a TCP socket can be reset.
      const socket = connection._socket;
      (socket._parent ?? socket).resetAndDestroy();
    } else if (query.has('code')) {
      connection.close(Number(query.get('code')), query.get('reason') ?? '');
    } else {
      connection.close();
    }
  });
}

function numbers(connection, query) {
  const log = fs.openSync(fileOf(query), 'a');
  connection.on('message', (data) => {
    const [number, word] = data.toString().split(' ', 2);
    fs.writeSync(log, `${number}\n`);
    if (word === 'tell' || Number(number) % 100 === 0) connection.send(number);
  });
  connection.on('close', () => fs.closeSync(log));
}

function end(connection, query) {
  connection.on('close', (code, reason) => fs.writeFileSync(fileOf(query), `${code} ${reason}`));
}

function seen(connection, query) {
  connection.on('message', () => {
    const file = fileOf(query);
    connection.send(fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');
  });
}

function restart(connection, query) {
  connection.once('message', () => {
    if (query.get('how') === 'kill') process.kill(process.pid, 'SIGKILL');
    for (const server of servers) server.close();
    for (const client of sockets.clients) client.close(1012, 'restart');
    // The process ends with its last connection; a client that does not answer has ws's own 30 s.
  });
}

const PATHS = {
  '/echo': echo,
  '/fragments': fragments,
  '/pings': pings,
  '/close': close,
  '/subprotocol': echo,
  '/numbers': numbers,
  '/end': end,
  '/seen': seen,
  '/restart': restart,
};

const sockets = new WebSocketServer({
  noServer: true,
  maxPayload: BIGGEST,
  // For clients that offer it; every message, short ones, too.
  perMessageDeflate: { threshold: 0 },
  handleProtocols(offered, request) {
    const asked = request.url.startsWith('/subprotocol');
    return asked && SUBPROTOCOLS.find((name) => offered.has(name));
  },
});

function refuse(socket, status) {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function upgrade(request, socket, head) {
  socket.on('error', () => {}); // reset while it is refused
  const url = new URL(request.url, 'ws://localhost');
  const handler = PATHS[url.pathname];
  if (!handler) return refuse(socket, '404 Not Found');
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  if (url.pathname === '/subprotocol' && !SUBPROTOCOLS.some((name) => offered.includes(name))) {
    return refuse(socket, '400 Bad Request');
  }
  sockets.handleUpgrade(request, socket, head, (connection) => {
    connection.on('error', (error) => console.error(`${request.url}: ${error.message}`));
    Promise.resolve(handler(connection, url.searchParams)).catch((error) => {
      console.error(`${request.url}: ${error.message}`);
      if (connection.readyState === WebSocket.OPEN) connection.close(1011, error.message);
    });
  });
}

const pem = fs.readFileSync(certificate);
const servers = [http.createServer(), https.createServer({ cert: pem, key: pem })];
servers[0].on('upgrade', upgrade).listen(port, '127.0.0.1');
servers[1].on('upgrade', upgrade).listen(tlsPort, '127.0.0.1');
