// A client with stateful reconnect that counts what it is told while its backend dies. Prints one line per fact.
'use strict';
const assert = require('assert');
const signalR = require('@microsoft/signalr');
const { MessagePackHubProtocol } = require('@microsoft/signalr-protocol-msgpack');

const [url, key, binary, total] = [process.argv[2], process.argv[3], process.argv[4] === 'msgpack', Number(process.argv[5])];

const builder = new signalR.HubConnectionBuilder()
  .withUrl(url, { transport: signalR.HttpTransportType.WebSockets, accessTokenFactory: () => key })
  .withStatefulReconnect()
  .configureLogging(process.env.SIGNALR_LOG ? signalR.LogLevel.Trace : signalR.LogLevel.None);
const client = (binary ? builder.withHubProtocol(new MessagePackHubProtocol()) : builder).build();

function fail(error) {
  console.log('failed: ' + (error && error.stack || error));
  process.exit(1);
}

client.onclose(error => fail('closed: ' + error));
let next = 0;
let done;
const all = new Promise(resolve => { done = resolve; });
client.on('told', number => {
  if (number !== next) fail('got ' + number + ' instead of ' + next);
  next++;
  if (next % 100 === 0) console.log('got ' + next);
  if (next === total) done();
});
client.on('asked', question => 'answer to ' + question);

(async () => {
  await client.start();
  await client.invoke('Join', 'numbers');
  const held = client.invoke('Hold', 'x').then(() => 'completed', error => error.message);
  console.log('connected ' + client.connectionId + ' ' + await client.invoke('Node'));
  // Invocations go on all the time; each must run once, whatever breaks.
  let notes = 0;
  let stop = false;
  const noting = (async () => {
    while (!stop) {
      await client.send('Note', notes++);
      await new Promise(resolve => setTimeout(resolve, 5));
    }
  })();
  await all;
  stop = true;
  await noting;
  console.log('held ' + await held);
  assert.deepStrictEqual(await client.invoke('Groups'), ['numbers']);
  console.log('noted ' + notes);
  console.log('done on ' + await client.invoke('Node'));
  await new Promise(resolve => setTimeout(resolve, 1200));
  assert.strictEqual(next, total);
  process.exit(0);
})().catch(fail);
