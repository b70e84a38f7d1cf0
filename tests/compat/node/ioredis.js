'use strict';
// ioredis keeps a page cache: pipelines, a walk with scanStream, times to live, binary values; and loses its connection.
// MS_CLIENT names the package (ioredis or ioredis5), MS_PROTOCOL what HELLO should agree on.

const { equal, expect, once, rejects, run, settings, until } = require('./checks.js');

const Redis = require(settings.client);
const PAGES = 10000;
const base = { port: settings.port, host: '127.0.0.1', maxRetriesPerRequest: 3 };
if (settings.client === 'ioredis') base.protocol = settings.protocol;

async function withClient(options, use) {
  const client = new Redis({ ...base, ...options });
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

async function connecting() {
  await withClient({ connectionName: 'page-cache', db: 3 }, async (client) => {
    const seen = [];
    for (const event of ['connect', 'ready']) client.on(event, () => seen.push(event));
    await client.set('where', 'db 3'); // held in the offline queue until the ready check has read INFO
    equal(seen, ['connect', 'ready'], 'events');
    const me = `${(await client.client('INFO')).trim()} `;
    for (const field of ['name=page-cache', 'db=3', `resp=${settings.protocol}`]) {
      expect(me.includes(` ${field} `), `CLIENT INFO has no ${field}: ${me}`);
    }
    const info = await client.info();
    expect(info.includes('\r\nloading:0\r\n') && info.includes('\r\nredis_mode:standalone\r\n'), 'what the ready check reads');
    equal(await client.get('where'), 'db 3', 'get in db 3');
    await withClient({}, async (other) => equal(await other.get('where'), null, 'db 0 does not see db 3'));
    await client.flushdb();
    equal(await client.quit(), 'OK', 'quit');
    await rejects(client.get('x'), /closed/i, 'after quit');
  });
}

async function pages() {
  await withClient({ keyPrefix: 'page:' }, async (client) => {
    const pipeline = client.pipeline();
    for (let i = 0; i < PAGES; i++) pipeline.set(String(i), `<p>${i} — ünïcödé</p>`, 'EX', 100 + (i % 100));
    const replies = await pipeline.exec();
    expect(replies.length === PAGES && replies.every(([error, reply]) => !error && reply === 'OK'), 'a pipeline of SETs');
    equal(await client.mget('0', '77', 'none', '9999'), ['<p>0 — ünïcödé</p>', '<p>77 — ünïcödé</p>', null, '<p>9999 — ünïcödé</p>'], 'mget');
    equal(await client.exists('1', '2', 'none', '1'), 3, 'exists counts a key twice');
    const left = await client.ttl('42');
    expect(left > 100 && left <= 142, `ttl ${left}`);
  });
  await withClient({}, async (client) => {
    const found = new Set();
    const stream = client.scanStream({ match: 'page:*', count: 500 });
    stream.on('data', (keys) => keys.forEach((key) => found.add(key)));
    await once(stream, 'end');
    equal(found.size, PAGES, 'scanStream');
    const keys = [...found];
    let removed = 0;
    for (let i = 0; i < keys.length; i += 1000) removed += await client.unlink(...keys.slice(i, i + 1000));
    equal(removed, PAGES, 'unlink');
    equal(await client.dbsize(), 0, 'dbsize');
  });
}

async function autoPipelining() {
  await withClient({ enableAutoPipelining: true }, async (client) => {
    await Promise.all(Array.from({ length: 2000 }, (_, i) => client.set(`auto:${i}`, i)));
    const values = await Promise.all(Array.from({ length: 2000 }, (_, i) => client.get(`auto:${i}`)));
    expect(values.every((value, i) => value === String(i)), 'auto pipelining');
    const counts = await Promise.all(Array.from({ length: 500 }, () => client.incr('hits')));
    equal(counts, Array.from({ length: 500 }, (_, i) => i + 1), '500 counts in order');
    await client.flushdb('ASYNC');
  });
}

async function binary() {
  await withClient({}, async (client) => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const key = Buffer.concat([Buffer.from('key '), every]);
    equal(await client.set(key, every), 'OK', 'a binary key');
    equal(await client.getBuffer(key), every, 'a binary value');
    equal(await client.strlen(key), 256, 'strlen');
    const long = Buffer.alloc(5 * 1024 * 1024, every);
    equal(await client.set('long', long, 'PX', 100000), 'OK', 'a value of 5 MiB');
    expect((await client.getBuffer('long')).equals(long), 'the value of 5 MiB came back');
    equal(await client.getrangeBuffer('long', 5 * 1024 * 1024 - 2, -1), Buffer.from([254, 255]), 'its end');
    const [, names] = await client.scanBuffer('0', 'MATCH', 'key *', 'COUNT', '1000');
    equal(names.filter((name) => name.equals(key)).length <= 1, true, 'scanBuffer');
    equal(await client.del(key, 'long'), 2, 'del');
  });
}

async function strings() {
  await withClient({}, async (client) => {
    equal(await client.set('s', 'one', 'NX'), 'OK', 'NX');
    equal(await client.set('s', 'two', 'NX'), null, 'NX of what is there');
    equal(await client.set('s', 'two', 'GET'), 'one', 'GET');
    equal(await client.set('s', 'three', 'PXAT', Date.now() + 100000, 'XX'), 'OK', 'PXAT');
    expect(await client.pttl('s') > 90000, 'pttl');
    equal(await client.getex('s', 'PERSIST'), 'three', 'getex');
    equal(await client.ttl('s'), -1, 'persist');
    equal(await client.append('s', '!'), 6, 'append');
    equal(await client.setrange('s', 6, '?'), 7, 'setrange');
    equal(await client.getdel('s'), 'three!?', 'getdel');
    equal(await client.mset({ a: 1, b: 2 }), 'OK', 'mset of an object');
    equal(await client.msetnx({ b: 3, c: 3 }), 0, 'msetnx');
    equal(await client.incrbyfloat('a', '0.5'), '1.5', 'incrbyfloat');
    equal(await client.decrby('b', 5), -3, 'decrby');
    equal(await client.setbit('bits', 7, 1), 0, 'setbit');
    equal(await client.bitcount('bits'), 1, 'bitcount');
    equal(await client.bitop('NOT', 'inverse', 'bits'), 1, 'bitop');
    equal(await client.bitfield('bits', 'INCRBY', 'u8', 0, 3, 'OVERFLOW', 'FAIL', 'INCRBY', 'u8', 0, 255), [4, null], 'bitfield');
    equal(await client.type('a'), 'string', 'type');
    equal(await client.object('ENCODING', 'b'), 'int', 'encoding');
    equal(await client.rename('a', 'z'), 'OK', 'rename');
    equal(await client.copy('z', 'y'), 1, 'copy');
    equal((await client.keys('[yz]')).sort(), ['y', 'z'], 'keys');
    expect(['b', 'bits', 'inverse', 'y', 'z'].includes(await client.randomkey()), 'randomkey');
    equal((await client.config('GET', 'maxmemory-policy'))[1], 'noeviction', 'config get');
    expect(/^\d+$/.test((await client.time())[0]), 'time');
    await client.flushall();
  });
}

async function errors() {
  await withClient({}, async (client) => {
    await client.set('text', 'abc');
    await rejects(client.incr('text'), /^ERR value is not an integer or out of range$/, 'incr of text');
    await rejects(client.call('GET'), /^ERR wrong number of arguments for 'get' command$/, 'arity');
    await rejects(client.call('NOSUCH', 'x'), /^ERR unknown command 'NOSUCH', with args beginning with: 'x'/, 'unknown');
    const replies = await client.pipeline().set('p', 1).incr('text').get('p').exec();
    equal([replies[0][1], replies[1][0]?.name, replies[2][1]], ['OK', 'ReplyError', '1'], 'an error inside a pipeline');
    // Transactions may be missing, but then they are refused like any unknown command, and the connection lives on.
    const multi = await client.call('MULTI').catch((error) => error.message);
    expect(multi === 'OK' || /^ERR unknown command/.test(multi), `MULTI: ${multi}`);
    if (multi === 'OK') await client.call('DISCARD');
    equal(await client.get('text'), 'abc', 'the connection lives');
    await client.flushall();
  });
}

async function reconnecting() {
  await withClient({ connectionName: 'victim', db: 2, retryStrategy: () => 20 }, async (client) => {
    await withClient({}, async (admin) => {
      await client.set('before', 'kept');
      const id = await client.client('ID');
      const seen = [];
      for (const event of ['close', 'reconnecting', 'ready']) client.on(event, () => seen.push(event));
      client.on('error', () => {}); // the reset may be reported as an error before the close
      const closed = once(client, 'close');
      const ready = once(client, 'ready');
      equal(await admin.client('KILL', 'ID', id), 1, 'client kill');
      await closed;
      const queued = client.get('before'); // while there is no connection
      await ready;
      equal(await queued, 'kept', 'a command of the offline queue');
      equal(seen, ['close', 'reconnecting', 'ready'], 'the events of a reconnection');
      expect(await client.client('ID') > id, 'a new connection has a higher id');
      equal(await client.client('GETNAME'), 'victim', 'the name is given again');
      const list = (await admin.client('LIST')).trim().split('\n');
      const mine = list.filter((line) => line.includes(' name=victim '));
      expect(mine.length === 1 && mine[0].includes(' db=2 '), `CLIENT LIST: ${list}`);
      // Killed with commands on their way: each is answered or sent again, none is lost.
      const many = Promise.all(Array.from({ length: 1000 }, (_, i) => client.set(`n:${i}`, i)));
      await admin.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      expect((await many).every((reply) => reply === 'OK'), 'commands that were on their way');
      await client.flushdb();
    });
  });
  await withClient({ enableOfflineQueue: false, lazyConnect: true }, async (client) => {
    await rejects(client.get('x'), /Stream isn't writeable and enableOfflineQueue options is false/, 'no offline queue');
    await once(client, 'ready'); // that command began the connection
    equal(await client.ping(), 'PONG', 'after it is ready');
  });
}

async function passwords() {
  const locked = { port: settings.lockedPort, retryStrategy: null, lazyConnect: true };
  await withClient({ ...locked, password: settings.password }, async (client) => {
    await client.connect();
    equal(await client.set('a', 'behind a password'), 'OK', 'password');
  });
  await withClient({ ...locked, username: 'default', password: settings.password }, async (client) => {
    await client.connect();
    equal(await client.getdel('a'), 'behind a password', 'user and password');
  });
  await withClient({ ...locked, password: 'wrong' }, async (client) => {
    const said = once(client, 'error');
    await client.connect().catch(() => {});
    expect(/^WRONGPASS /.test((await said).message), 'a wrong password');
  });
  await withClient({ ...locked }, async (client) => {
    client.on('error', () => {});
    await rejects(client.connect().then(() => client.get('a')), /^NOAUTH |closed/i, 'no password');
  });
  const warnings = [];
  const warn = console.warn;
  console.warn = (text) => warnings.push(text);
  await withClient({ password: 'not needed' }, async (client) => equal(await client.ping(), 'PONG', 'a password that is not needed'));
  console.warn = warn;
}

async function unixSocket() {
  await withClient({ path: settings.socket, port: undefined, host: undefined }, async (client) => {
    equal(await client.set('by', 'socket'), 'OK', 'unix socket');
    equal(await client.getdel('by'), 'socket', 'unix socket');
  });
}

async function monitoring() {
  await withClient({}, async (client) => {
    await client.ping();
    const monitor = await client.monitor();
    const lines = [];
    monitor.on('monitor', (time, args, source, database) => lines.push({ time, args, source, database }));
    await client.set('watched', 'with "quotes" \r\n');
    await until(() => lines.some(({ args }) => args[0] === 'set'), 'MONITOR shows the SET');
    const line = lines.find(({ args }) => args[0] === 'set');
    if (line) {
      expect(line.args[1] === 'watched' && line.database === '0' && line.source.startsWith('127.0.0.1:'), JSON.stringify(line));
      expect(Math.abs(Number(line.time) - Date.now() / 1000) < 60, `time ${line.time}`);
    }
    monitor.disconnect();
    await client.del('watched');
  });
}

async function expiring() {
  await withClient({}, async (client) => {
    await Promise.all(Array.from({ length: 200 }, (_, i) => client.set(`short:${i}`, i, 'PX', 50 + i)));
    await until(async () => await client.dbsize() === 0, '200 keys expire');
  });
}

run([connecting, pages, autoPipelining, binary, strings, errors, reconnecting, passwords, unixSocket, monitoring, expiring]);
