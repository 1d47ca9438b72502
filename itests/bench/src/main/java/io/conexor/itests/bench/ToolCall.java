package io.conexor.itests.bench;

import java.nio.charset.StandardCharsets;

/** The request every MCP server here gets, the same to the byte but for path and key. */
final class ToolCall {

  private ToolCall() {}

  static byte[] request(String path, String headers, String params) {
    String body =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":" + params + "}";
    String head =
        "POST "
            + path
            + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            + "Accept: application/json, text/event-stream\r\n"
            + "MCP-Protocol-Version: 2025-06-18\r\n"
            + headers
            + "Content-Length: "
            + body.length()
            + "\r\n\r\n";
    return (head + body).getBytes(StandardCharsets.US_ASCII);
  }
}
