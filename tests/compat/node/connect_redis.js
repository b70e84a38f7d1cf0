'use strict';
// connect-redis keeps the sessions of two web servers that share one store: whoever logs in at one is known at the other.
// The store is also called directly, every method of it.

const http = require('node:http');
const { equal, expect, once, run, settings, until } = require('./checks.js');

const { createClient } = require(settings.client);
const { RedisStore } = require('connect-redis');
const session = require('express-session');

let client;
let mayBreak = false;

async function connect() {
  client = createClient({ url: `redis://127.0.0.1:${settings.port}`, RESP: settings.protocol });
  client.on('error', (error) => expect(mayBreak, `client: ${error}`));
  await client.connect();
}

async function methods() {
  const store = new RedisStore({ client, prefix: 'direct:', ttl: 1000, scanCount: 7 });
  equal([await store.length(), await store.ids(), await store.all()], [0, [], []], 'an empty store');
  equal(await store.clear(), null, 'clear of an empty store');
  equal(await store.get('none'), null, 'get of nothing');
  const cart = { cookie: {}, cart: ['Tee', '☕', 'a\u0000b'], total: 12.5 };
  equal(await store.set('one', cart), null, 'set');
  equal(await store.get('one'), cart, 'get');
  const left = await client.ttl('direct:one');
  expect(left > 990 && left <= 1000, `ttl ${left}`);
  const soon = { cookie: { originalMaxAge: 60000, expires: new Date(Date.now() + 60000).toISOString() } };
  await store.touch('one', soon);
  expect(await client.ttl('direct:one') <= 60, 'touch takes the time of the cookie');
  await store.set('brief', { cookie: { originalMaxAge: 1000, expires: new Date(Date.now() + 1000).toISOString() } });
  await store.set('past', { cookie: { originalMaxAge: 1000, expires: new Date(Date.now() - 1000).toISOString() } });
  equal(await store.get('past'), null, 'a session of the past is destroyed');
  await until(async () => await store.get('brief') === null, 'a brief session expires');
  await Promise.all(Array.from({ length: 1000 }, (_, i) => store.set(`many:${i}`, { cookie: {}, user: i })));
  await client.set('not:a:session', 'x');
  equal(await store.length(), 1001, 'length');
  equal((await store.ids()).sort(), ['one', ...Array.from({ length: 1000 }, (_, i) => `many:${i}`)].sort(), 'ids');
  const all = await store.all();
  equal(all.length, 1001, 'all');
  expect(all.every((entry) => entry.id === 'one' || entry.id === `many:${entry.user}`), 'each with its own data');
  await store.destroy('one');
  equal([await store.get('one'), await store.length()], [null, 1000], 'destroy');
  await new Promise((resolve) => store.get('many:7', (error, data) => {
    equal([error, data.user], [null, 7], 'with a callback');
    resolve();
  }));
  await store.clear();
  equal([await store.length(), await client.get('not:a:session')], [0, 'x'], 'clear leaves other keys alone');
  const forever = new RedisStore({ client, prefix: 'forever:', disableTTL: true });
  await forever.set('a', { cookie: {} });
  equal(await client.ttl('forever:a'), -1, 'disableTTL');
  await client.flushAll();
}

function webServer(name) {
  const withSession = session({
    store: new RedisStore({ client, ttl: 100 }), secret: 'of both', resave: false, saveUninitialized: false,
  });
  const server = http.createServer((request, response) => withSession(request, response, (error) => {
    const path = request.url.split('/');
    if (error) response.statusCode = 500;
    else if (path[1] === 'login') request.session.user = path[2];
    else if (path[1] === 'visit') request.session.visits = (request.session.visits ?? 0) + 1;
    else if (path[1] === 'logout') return request.session.destroy(() => response.end('{}'));
    response.end(JSON.stringify({ name, user: request.session.user, visits: request.session.visits, error: error?.message }));
  }));
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

function ask(server, path, cookie) {
  return new Promise((resolve, reject) => {
    const headers = cookie ? { cookie } : {};
    http.get({ host: '127.0.0.1', port: server.address().port, path, headers, agent: false }, (response) => {
      let text = '';
      response.on('data', (part) => { text += part; });
      response.on('end', () => resolve({ body: JSON.parse(text), cookie: response.headers['set-cookie']?.[0].split(';')[0] ?? cookie }));
    }).on('error', reject);
  });
}

async function twoWebServers() {
  const servers = [await webServer('left'), await webServer('right')];
  await Promise.all(Array.from({ length: 40 }, async (_, user) => {
    const { cookie } = await ask(servers[user % 2], `/login/user-${user}`);
    for (let visit = 1; visit <= 4; visit++) {
      const { body } = await ask(servers[visit % 2], '/visit', cookie);
      equal([body.user, body.visits], [`user-${user}`, visit], `visit of user ${user} at ${body.name}`);
    }
    if (user % 4 === 0) {
      await ask(servers[1], '/logout', cookie);
      equal((await ask(servers[0], '/who', cookie)).body.user, undefined, 'logged out everywhere');
    }
  }));
  equal((await ask(servers[0], '/who')).cookie, undefined, 'no session without a reason');
  equal(await client.dbSize(), 30, 'sessions that are left');
  const keys = await client.keys('sess:*');
  const left = await Promise.all(keys.map((key) => client.ttl(key)));
  expect(left.every((seconds) => seconds > 90 && seconds <= 100), `times to live ${left}`);
  // The store comes back with its client, which is killed here.
  const admin = await client.duplicate().connect();
  mayBreak = true;
  const ready = once(client, 'ready');
  await admin.clientKill({ filter: 'ID', id: await client.clientId() });
  await ready;
  const { body } = await ask(servers[0], '/login/after');
  equal(body.user, 'after', 'after the reconnection');
  admin.destroy();
  servers.forEach((server) => server.close());
}

run([connect, methods, twoWebServers]);
