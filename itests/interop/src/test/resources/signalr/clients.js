// Drives the unmodified SignalR client in every combination of transport and protocol. Prints one line per fact.
'use strict';
const assert = require('assert');
const signalR = require('@microsoft/signalr');
const { MessagePackHubProtocol } = require('@microsoft/signalr-protocol-msgpack');

const url = process.argv[2];
const key = process.argv[3];
const only = process.argv[4];

const combinations = [
  ['ws/json', signalR.HttpTransportType.WebSockets, false],
  ['ws/msgpack', signalR.HttpTransportType.WebSockets, true],
  ['sse/json', signalR.HttpTransportType.ServerSentEvents, false],
  ['lp/json', signalR.HttpTransportType.LongPolling, false],
  ['lp/msgpack', signalR.HttpTransportType.LongPolling, true],
];

function connection(transport, binary) {
  const builder = new signalR.HubConnectionBuilder()
    .withUrl(url, { transport, accessTokenFactory: () => key })
    .configureLogging(process.env.SIGNALR_LOG ? signalR.LogLevel.Trace : signalR.LogLevel.None);
  return (binary ? builder.withHubProtocol(new MessagePackHubProtocol()) : builder).build();
}

function within(promise, what) {
  return Promise.race([
    promise,
    new Promise((_, reject) => setTimeout(() => reject(new Error('no ' + what + ' within 40 s')), 40000).unref()),
  ]);
}

function collect(stream) {
  return within(new Promise((resolve, reject) => {
    const items = [];
    stream.subscribe({ next: item => items.push(item), error: reject, complete: () => resolve(items) });
  }), 'end of a stream');
}

class Inbox {
  constructor(client) {
    this.got = [];
    client.on('told', message => {
      this.got.push(message);
      if (this.check) this.check();
    });
  }
  until(count) {
    return within(new Promise(resolve => {
      this.check = () => { if (this.got.length >= count) resolve(this.got); };
      this.check();
    }), count + ' messages, but ' + JSON.stringify(this.got));
  }
}

async function scenario(name, transport, binary) {
  const one = connection(transport, binary);
  const two = connection(transport, binary);
  const inboxOne = new Inbox(one);
  const inboxTwo = new Inbox(two);
  two.on('asked', question => 'answer to ' + question);
  one.on('asked', () => { throw new Error('no idea'); });
  await within(Promise.all([one.start(), two.start()]), 'start');

  // Invocations, both ways, with results.
  for (const value of ['text', 'ä€😀\u001e\n', 42, -1.5, true, null, [1, [2]], { a: { b: 'c' } }]) {
    assert.deepStrictEqual(await within(one.invoke('Echo', value), 'echo'), value);
  }
  const idOne = await one.invoke('Me');
  const idTwo = await two.invoke('Me');
  assert.strictEqual(idOne, one.connectionId);
  await assert.rejects(one.invoke('Fail'), /as you wish/);
  await assert.rejects(one.invoke('Throw'), error => /the server failed/.test(error) && !/secret/.test(error));
  await assert.rejects(one.invoke('Nonsense'), /no method/);
  assert.strictEqual(await within(one.invoke('Ask', idTwo, 'a question'), 'answer'), 'answer to a question');
  await assert.rejects(within(two.invoke('Ask', idOne, 'a question'), 'refusal'), /no idea/);
  await one.send('Note', name);
  const many = await within(Promise.all([...Array(20).keys()].map(i => one.invoke('Echo', i))), 'many echoes');
  assert.deepStrictEqual(many, [...Array(20).keys()]);

  // Streams both ways, and cancellation.
  assert.deepStrictEqual(await collect(one.stream('Count', 100)), [...Array(100).keys()]);
  const upload = new signalR.Subject();
  const sum = one.invoke('Sum', upload);
  for (let i = 1; i <= 20; i++) upload.next(i);
  upload.complete();
  assert.strictEqual(await within(sum, 'sum'), 210);
  const both = new signalR.Subject();
  const doubled = collect(one.stream('Double', both));
  for (let i = 1; i <= 5; i++) both.next(i);
  both.complete();
  assert.deepStrictEqual(await doubled, [2, 4, 6, 8, 10]);
  await within(new Promise((resolve, reject) => {
    const endless = one.stream('Endless').subscribe({
      next: item => { if (item === 10) { endless.dispose(); resolve(); } },
      error: reject,
      complete: () => reject(new Error('it ended')),
    });
  }), 'ten items');

  // Everyone, groups, users, one.
  await one.invoke('ToOthers', 'everyone');
  await inboxTwo.until(1);
  await two.invoke('Join', name);
  assert.deepStrictEqual(await two.invoke('Groups'), [name]);
  for (let i = 0; i < 10; i++) await one.invoke('ToGroup', name, 'group ' + i);
  await inboxTwo.until(11);
  await two.invoke('Leave', name);
  await one.invoke('ToGroup', name, 'nobody');
  await one.invoke('ToUser', 'user');
  await inboxOne.until(1);
  await one.invoke('ToOne', idTwo, 'one');
  await inboxTwo.until(13);
  assert.deepStrictEqual([...inboxTwo.got].sort(),
    ['everyone', 'one', 'user', ...[...Array(10).keys()].map(i => 'group ' + i)].sort());
  assert.deepStrictEqual(inboxTwo.got.filter(m => m.startsWith('group')), [...Array(10).keys()].map(i => 'group ' + i));
  assert.deepStrictEqual(inboxOne.got, ['user']);

  // Backends that were met.
  const nodes = [await one.invoke('Node'), await two.invoke('Node')];

  // Ends.
  const closed = new Promise(resolve => two.onclose(resolve));
  two.send('Close', false);
  assert.match(String(await within(closed, 'close')), /closed on request/);
  await within(one.stop(), 'stop');
  console.log('ok ' + name + ' ' + nodes.join(' '));
}

(async () => {
  for (const [name, transport, binary] of combinations) {
    if (!only || only === name) {
      const started = Date.now();
      await scenario(name, transport, binary);
      console.log('# ' + name + ' took ' + (Date.now() - started) + ' ms');
    }
  }
  process.exit(0);
})().catch(error => {
  console.log('failed: ' + (error && error.stack || error));
  process.exit(1);
});
