'use strict';
// node-redis counts votes: thousands of commands in flight, iterators over SCAN, typed replies in both protocols; and its
// connection is killed. MS_CLIENT names the package (redis or redis5), MS_PROTOCOL its RESP option.

const { equal, expect, once, rejects, run, settings, until } = require('./checks.js');

const { createClient, createClientPool, RESP_TYPES, ErrorReply } = require(settings.client);
const VOTERS = 10000;
const CANDIDATES = 7;
const url = `redis://127.0.0.1:${settings.port}`;
const reconnectFast = { reconnectStrategy: () => 20 };

async function withClient(options, use) {
  const client = createClient({ url, RESP: settings.protocol, ...options });
  client.on('error', () => {});
  await client.connect();
  try {
    return await use(client);
  } finally {
    if (client.isOpen) client.destroy();
  }
}

async function connecting() {
  const client = createClient({ url: `${url}/4`, RESP: settings.protocol, name: 'counter' });
  const seen = [];
  for (const event of ['connect', 'ready', 'error']) client.on(event, () => seen.push(event));
  await rejects(client.get('x'), /closed/i, 'before connect');
  const connected = client.connect();
  const early = client.set('where', 'db 4'); // held until there is a connection
  expect(client.isOpen && !client.isReady, 'not ready yet');
  await connected;
  equal(await early, 'OK', 'a command of the offline queue');
  equal(seen, ['connect', 'ready'], 'events');
  const me = await client.clientInfo();
  equal([me.name, me.db, me.resp, me.id], ['counter', 4, settings.protocol, await client.clientId()], 'clientInfo');
  equal((await client.clientList()).filter(({ name }) => name === 'counter').length, 1, 'clientList');
  equal(await client.select(0), undefined, 'select');
  equal(await client.exists('where'), 0, 'db 0');
  await client.select(4);
  equal(await client.flushDb(), 'OK', 'flushDb');
  const info = await client.info('server');
  expect(/\r\nredis_version:[0-9.]+\r\n/.test(info), 'info');
  equal(await client.close(), undefined, 'close');
  expect(!client.isOpen, 'closed');
  await rejects(client.get('x'), /closed/i, 'after close');
}

async function votes() {
  await withClient({}, async (client) => {
    await Promise.all(Array.from({ length: VOTERS }, (_, i) =>
      Promise.all([client.set(`voter:${i}`, i % CANDIDATES, { NX: true, EX: 1000 }), client.incr(`count:${i % CANDIDATES}`)])));
    equal(await client.set('voter:1', 5, { NX: true }), null, 'nobody votes twice');
    const counts = await client.mGet(Array.from({ length: CANDIDATES }, (_, i) => `count:${i}`));
    equal(counts.reduce((sum, count) => sum + Number(count), 0), VOTERS, 'the counts of all');
    const found = new Set();
    for await (const keys of client.scanIterator({ MATCH: 'voter:*', COUNT: 300 })) for (const key of keys) found.add(key);
    equal(found.size, VOTERS, 'scanIterator');
    const typed = [];
    for await (const keys of client.scanIterator({ TYPE: 'string', MATCH: 'count:*' })) typed.push(...keys);
    equal(typed.sort(), Array.from({ length: CANDIDATES }, (_, i) => `count:${i}`), 'scanIterator with TYPE');
    const left = await client.ttl('voter:77');
    expect(left > 900 && left <= 1000, `ttl ${left}`);
    const all = [...found];
    let removed = 0;
    for (let i = 0; i < all.length; i += 2500) removed += await client.unlink(all.slice(i, i + 2500));
    equal(removed, VOTERS, 'unlink');
    equal(await client.dbSize(), CANDIDATES, 'dbSize');
    await client.flushAll();
  });
}

async function typedReplies() {
  await withClient({}, async (client) => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await client.set(every, every);
    const bytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    expect((await bytes.get(every)).equals(every), 'a binary key and value');
    const long = Buffer.alloc(3 << 20, every);
    await client.set('long', long, { expiration: { type: 'PX', value: 100000 } });
    expect((await bytes.getEx('long', { type: 'PERSIST' })).equals(long), 'a value of 3 MiB');
    equal(await client.ttl('long'), -1, 'persisted');
    const config = await client.configGet('maxmemory*');
    equal(config['maxmemory-policy'], 'noeviction', 'configGet is a map in both protocols');
    const commands = await client.commandCount();
    expect(commands > 60, `commandCount ${commands}`);
    const [getInfo] = await client.commandInfo(['GET']);
    equal([getInfo.name, getInfo.arity, getInfo.firstKeyIndex], ['get', 2, 1], 'commandInfo');
    equal(await client.commandGetKeys(['MSET', 'a', '1', 'b', '2']), ['a', 'b'], 'commandGetKeys');
    const hello = await client.hello(settings.protocol);
    equal([hello.proto, hello.mode, hello.role, typeof hello.id], [settings.protocol, 'standalone', 'master', 'number'], 'hello');
    expect(Array.isArray(hello.modules), 'hello names modules');
    await client.flushAll();
  });
}

async function strings() {
  await withClient({}, async (client) => {
    equal(await client.set('s', 'one', { GET: true }), null, 'GET of nothing');
    equal(await client.set('s', 'two', { GET: true, XX: true }), 'one', 'GET');
    equal(await client.append('s', '!'), 4, 'append');
    equal(await client.getRange('s', 0, 1), 'tw', 'getRange');
    equal(await client.getDel('s'), 'two!', 'getDel');
    equal(await client.mSet({ a: '1', b: '2' }), 'OK', 'mSet');
    equal(await client.mSetNX({ b: '3', c: '3' }), 0, 'mSetNX');
    equal(await client.incrBy('a', 41), 42, 'incrBy');
    equal(await client.incrByFloat('a', 0.5), '42.5', 'incrByFloat');
    equal(await client.expire('a', 100, 'NX'), 1, 'expire NX');
    expect(Math.abs(await client.expireTime('a') - Date.now() / 1000 - 100) < 10, 'expireTime');
    equal(await client.persist('a'), 1, 'persist');
    equal(await client.bitField('bits', [{ operation: 'SET', encoding: 'u8', offset: 0, value: 200 },
      { operation: 'OVERFLOW', behavior: 'SAT' }, { operation: 'INCRBY', encoding: 'u8', offset: 0, increment: 100 }]), [0, 255], 'bitField');
    equal(await client.bitCount('bits'), 8, 'bitCount');
    equal(await client.bitPos('bits', 0), 8, 'bitPos');
    await client.set('x', 'ohmytext');
    await client.set('y', 'mynewtext');
    equal(await client.lcs('x', 'y'), 'mytext', 'lcs');
    equal((await client.lcsIdx('x', 'y')).len, 6, 'lcsIdx');
    equal(await client.copy('x', 'y'), 0, 'copy onto something');
    equal(await client.copy('x', 'y', { REPLACE: true }), 1, 'copy REPLACE');
    equal(await client.renameNX('x', 'y'), 0, 'renameNX');
    equal(await client.move('x', 5), 1, 'move');
    equal(await client.touch(['a', 'x']), 1, 'touch');
    const dumped = await client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).dump('y');
    equal(await client.restore('again', 0, dumped), 'OK', 'restore');
    equal(await client.get('again'), 'ohmytext', 'what was dumped');
    equal(await client.objectEncoding('b'), 'int', 'objectEncoding');
    await client.flushAll();
  });
}

async function errors() {
  await withClient({}, async (client) => {
    await client.set('text', 'abc');
    const failed = await client.incr('text').catch((error) => error);
    expect(failed instanceof ErrorReply && failed.message === 'ERR value is not an integer or out of range', String(failed));
    await rejects(client.sendCommand(['GET']), /^ERR wrong number of arguments for 'get' command$/, 'arity');
    await rejects(client.sendCommand(['NOSUCH', 'x']), /^ERR unknown command 'NOSUCH'/, 'unknown');
    const replies = await Promise.allSettled([client.set('p', 1), client.incr('text'), client.get('p')]); // one write
    equal(replies.map(({ status, value }) => value ?? status), ['OK', 'rejected', '1'], 'an error inside a pipeline');
    equal(await client.multi().set('p', 2).incr('p').get('p').execAsPipeline(), ['OK', 3, '3'], 'execAsPipeline');
    const multi = await client.sendCommand(['MULTI']).catch((error) => error.message);
    expect(multi === 'OK' || /^ERR unknown command/.test(multi), `MULTI: ${multi}`);
    if (multi === 'OK') await client.sendCommand(['DISCARD']);
    equal(await client.get('text'), 'abc', 'the connection lives');
    await client.flushAll();
  });
}

async function reconnecting() {
  await withClient({ name: 'victim', database: 2, socket: reconnectFast }, async (client) => {
    await withClient({ name: 'admin' }, async (admin) => {
      await client.set('before', 'kept');
      const id = await client.clientId();
      const seen = [];
      for (const event of ['reconnecting', 'connect', 'ready']) client.on(event, () => seen.push(event));
      const gone = once(client, 'reconnecting');
      const ready = once(client, 'ready');
      equal(await admin.clientKill({ filter: 'ID', id }), 1, 'clientKill');
      await gone;
      const queued = client.get('before'); // while there is no connection
      await ready;
      equal(await queued, 'kept', 'a command of the offline queue');
      equal(seen, ['reconnecting', 'connect', 'ready'], 'the events of a reconnection');
      const me = await client.clientInfo();
      equal([me.name, me.db, me.resp], ['victim', 2, settings.protocol], 'name, database and protocol are given again');
      expect(me.id > id, 'a higher id');
      await client.flushDb();
    });
  });
  const impatient = createClient({ url, RESP: settings.protocol, disableOfflineQueue: true });
  impatient.on('error', () => {});
  const connected = impatient.connect();
  await rejects(impatient.get('x'), /offline/i, 'no offline queue');
  await connected;
  equal(await impatient.ping(), 'PONG', 'after connect');
  impatient.destroy();
}

async function pool() {
  const shared = createClientPool({ url, RESP: settings.protocol }, { minimum: 2, maximum: 8 });
  shared.on('error', (error) => expect(false, `pool: ${error}`));
  await shared.connect();
  const counts = await Promise.all(Array.from({ length: 400 }, () => shared.execute((client) => client.incr('pooled'))));
  equal(counts.sort((a, b) => a - b), Array.from({ length: 400 }, (_, i) => i + 1), '400 counts over a pool');
  await shared.del('pooled');
  shared.destroy();
}

async function passwords() {
  const locked = { url: `redis://127.0.0.1:${settings.lockedPort}`, socket: { reconnectStrategy: false } };
  await withClient({ ...locked, password: settings.password }, async (client) => equal(await client.set('a', '1'), 'OK', 'password'));
  const named = `redis://default:${encodeURIComponent(settings.password)}@127.0.0.1:${settings.lockedPort}`;
  await withClient({ ...locked, url: named }, async (client) => equal(await client.getDel('a'), '1', 'user and password of a URL'));
  await rejects(withClient({ ...locked, password: 'wrong' }, (client) => client.ping()), /^WRONGPASS /, 'a wrong password');
  await rejects(withClient(locked, (client) => client.get('a')), /^NOAUTH /, 'no password');
}

async function unixSocket() {
  await withClient({ url: undefined, socket: { path: settings.socket, tls: false } }, async (client) => {
    equal(await client.set('by', 'socket'), 'OK', 'unix socket');
    equal(await client.getDel('by'), 'socket', 'unix socket');
  });
}

async function monitoring() {
  await withClient({}, async (client) => {
    const monitor = client.duplicate();
    const lines = [];
    await monitor.connect();
    await monitor.monitor((line) => lines.push(line.toString()));
    await client.set('watched', 'a "quote"');
    await until(() => lines.some((line) => /^\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "SET" "watched" "a \\"quote\\""$/.test(line)), 'a line of MONITOR');
    monitor.destroy();
    await client.del('watched');
  });
}

run([connecting, votes, typedReplies, strings, errors, reconnecting, pool, passwords, unixSocket, monitoring]);
