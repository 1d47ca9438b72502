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
