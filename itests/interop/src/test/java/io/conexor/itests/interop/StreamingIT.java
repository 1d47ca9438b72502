package io.conexor.itests.interop;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.itests.lab.LogsOfFailures;
import io.conexor.itests.lab.ProductProcess;
import io.conexor.itests.lab.Tenant;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.RegisterExtension;
import tools.jackson.databind.JsonNode;

/** Long results through REST, with a heap of 256 MB on both sides. */
@ExtendWith(LogsOfFailures.class)
class StreamingIT {

  private static final String ALL = "SELECT n, t FROM numbers ORDER BY n";

  /** Three gigabytes: more than all buffers in between and both heaps together can hold. */
  private static final String ENDLESS = "SELECT a.n, b.t FROM numbers a, numbers b";

  @RegisterExtension static final Shop shop = new Shop();

  /** One query over a plain socket, whose reader decides when it reads. */
  private static final class Reader implements AutoCloseable {
    private final Socket socket;
    private final BufferedReader lines;

    Reader(String accept, String sql, Map<String, Object> more) throws IOException {
      socket = new Socket();
      socket.setReceiveBufferSize(16_384);
      socket.connect(
          new java.net.InetSocketAddress("127.0.0.1", shop.open().backend().port()), 5_000);
      socket.setSoTimeout(60_000);
      Map<String, Object> body = McpClient.map("source", "goods", "sql", sql);
      body.putAll(more);
      byte[] json = Tenant.json(body).getBytes(StandardCharsets.UTF_8);
      String head =
          "POST /api/v1/query HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: "
              + accept
              + "\r\nX-API-Key: "
              + shop.open().tenant().token()
              + "\r\nContent-Length: "
              + json.length
              + "\r\n\r\n";
      socket.getOutputStream().write(head.getBytes(StandardCharsets.US_ASCII));
      socket.getOutputStream().write(json);
      lines =
          new BufferedReader(
              new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8), 16_384);
      assertThat(lines.readLine()).contains(" 200 ");
      String line = lines.readLine();
      while (!line.isEmpty()) {
        line = lines.readLine();
      }
    }

    String line() throws IOException {
      return lines.readLine();
    }

    @Override
    public void close() throws IOException {
      socket.close();
    }
  }

  private static int rowsAsNdjson() throws IOException {
    try (Reader reader = new Reader("application/x-ndjson", ALL, Map.of())) {
      assertThat(Tenant.parse(reader.line()).get("columns")).hasSize(2);
      int rows = 0;
      String line = reader.line();
      while (line.startsWith("[")) {
        rows++;
        assertThat(line).startsWith("[" + rows + ",\"row " + rows + "x");
        line = reader.line();
      }
      JsonNode end = Tenant.parse(line);
      assertThat(end.get("rowCount").asInt()).isEqualTo(rows);
      assertThat(end.get("truncated").asBoolean()).isFalse();
      assertThat(reader.line()).isNull();
      return rows;
    }
  }

  @Test
  void a_hundred_thousand_rows_pass_as_ndjson_and_csv_in_flat_memory() throws IOException {
    ProductProcess backend = shop.open().backend();
    ProductProcess agent = shop.open().process();
    assertThat(rowsAsNdjson()).isEqualTo(100_000);
    long[] before = {
      backend.liveHeapKiB(), agent.liveHeapKiB(), backend.residentKiB(), agent.residentKiB()
    };

    for (int i = 0; i < 3; i++) {
      assertThat(rowsAsNdjson()).isEqualTo(100_000);
    }
    try (Reader reader = new Reader("text/csv", ALL, Map.of())) {
      assertThat(reader.line()).isEqualTo("n,t");
      int rows = 0;
      while (reader.line() != null) {
        rows++;
      }
      assertThat(rows).isEqualTo(100_000);
    }

    long[] after = {
      backend.liveHeapKiB(), agent.liveHeapKiB(), backend.residentKiB(), agent.residentKiB()
    };
    System.out.printf(
        "100,000 rows five times; KiB before -> after: heap of the backend %d -> %d, of the agent %d -> %d; resident %d -> %d, %d -> %d%n",
        before[0], after[0], before[1], after[1], before[2], after[2], before[3], after[3]);
    assertThat(after[0] - before[0]).as("live heap of the backend, KiB").isLessThan(8_192);
    assertThat(after[1] - before[1]).as("live heap of the agent, KiB").isLessThan(8_192);
    assertThat(after[2]).as("resident memory of the backend, KiB").isLessThan(600_000);
    assertThat(after[3]).as("resident memory of the agent, KiB").isLessThan(600_000);
  }

  @Test
  void a_slow_reader_holds_the_query_back_and_a_reader_that_leaves_ends_it() throws IOException {
    ProductProcess backend = shop.open().backend();
    ProductProcess agent = shop.open().process();
    long[] before = {backend.liveHeapKiB(), agent.liveHeapKiB()};

    try (Reader reader =
        new Reader(
            "application/x-ndjson", ENDLESS, Map.of("limit", 900_000, "timeoutMs", 60_000))) {
      for (int i = 0; i < 100; i++) {
        reader.line();
      }
      // While nobody reads, nothing piles up: what one look finds alive the next ones find too.
      // A look takes a full collection of both, which is time for gigabytes to pass if they could.
      long first = backend.liveHeapKiB() + agent.liveHeapKiB();
      for (int i = 0; i < 3; i++) {
        assertThat(backend.liveHeapKiB() + agent.liveHeapKiB() - first)
            .as("KiB that piled up")
            .isLessThan(8_192);
      }

      assertThat(backend.liveHeapKiB() - before[0]).as("KiB in the backend").isLessThan(32_768);
      assertThat(agent.liveHeapKiB() - before[1]).as("KiB in the agent").isLessThan(32_768);
      assertThat(shop.open().statementsWith("numbers a, numbers b")).isEqualTo(1);
    }

    await()
        .atMost(Duration.ofSeconds(30))
        .until(() -> shop.open().statementsWith("numbers a, numbers b") == 0);
    assertThat(rowsAsNdjson()).isEqualTo(100_000);
  }
}
