// The official MCP clients against a running server: node clients.mjs <url> <mcp_ key> [tool]
// Exit code 0 when every client, in both eras, lists the tools, calls one and hears errors as it should.
import assert from 'node:assert/strict';

const [url, key, tool = 'list_tables'] = process.argv.slice(2);
const sdk1 = {
  ...(await import('@modelcontextprotocol/sdk/client/index.js')),
  ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
};
const sdk2 = await import('@modelcontextprotocol/client');

async function check(name, sdk, options, version) {
  const client = new sdk.Client({ name: 'interop', version: '1' }, options);
  const headers = { 'X-API-Key': key };
  const transport = new sdk.StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
  await client.connect(transport);
  assert.equal(client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion, version);
  const { tools } = await client.listTools();
  assert.ok(tools.some(t => t.name === tool), `${tool} is offered`);
  const result = await client.callTool({ name: tool, arguments: {} });
  assert.ok(!result.isError && result.structuredContent, `${tool} answers`);
  // Rows, a page after them, and what a query that writes is told.
  const sql = 'SELECT id, name FROM suppliers WHERE id > ? ORDER BY id';
  const query = cursor => client.callTool({ name: 'query', arguments: { sql, parameters: [5], limit: 10, ...cursor } });
  const page = (await query({})).structuredContent;
  assert.deepEqual([page.rowCount, page.truncated, page.rows[0].id], [10, true, 6]);
  const last = (await query({ cursor: page.nextCursor })).structuredContent;
  assert.deepEqual([last.rowCount, last.truncated, last.rows[0].id], [5, false, 16]);
  assert.equal((await client.callTool({ name: 'query', arguments: { sql: 'DELETE FROM suppliers' } })).isError, true);
  // A call that is given up stops in the database; the test looks for it there.
  const abort = new AbortController();
  let rows = 0;
  const slow = client.callTool(
    { name: 'query', arguments: { sql: `SELECT '${name}', count(*) FROM numbers a, numbers b, numbers c` } },
    ...(sdk === sdk1 ? [undefined] : []), { signal: abort.signal, onprogress: () => { if (++rows === 2) abort.abort('enough'); } });
  await assert.rejects(slow);
  assert.equal(rows, 2, 'progress is told');
  const wrong = await client.callTool({ name: tool, arguments: { no_such_argument: 1 } });
  assert.equal(wrong.isError, true);
  await assert.rejects(client.callTool({ name: 'no_such_tool', arguments: {} }), e => e.code === -32602);
  await transport.terminateSession?.();
  await client.close();
  console.log(`${name}: ok, ${version}, ${tools.length} tools`);
}

await check('sdk 1', sdk1, {}, '2025-11-25');
await check('client 2, handshake', sdk2, {}, '2025-11-25');
await check('client 2, stateless', sdk2, { versionNegotiation: { mode: 'auto' } }, '2026-07-28');
