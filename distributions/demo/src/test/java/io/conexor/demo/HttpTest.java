package io.conexor.demo;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class HttpTest {

  private HttpServer server;
  private Http http;

  @BeforeEach
  void start() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.start();
    http = new Http("http://127.0.0.1:" + server.getAddress().getPort());
  }

  @AfterEach
  void stop() {
    server.stop(0);
  }

  @Test
  void the_last_event_of_a_stream_is_the_answer() throws Exception {
    answers(
        200,
        "text/event-stream",
        ":\n\nevent: message\ndata: {\"progress\":1}\n\nevent: message\ndata: {\"rows\":[7]}\n\n");

    Http.Answer answer = http.post("/", Map.of(), Map.of());

    assertThat(answer.body().path("rows").path(0).asInt()).isEqualTo(7);
  }

  @Test
  void a_problem_is_told_with_its_detail() throws Exception {
    answers(503, "application/problem+json", "{\"detail\":\"no agent is connected\"}");

    Http.Answer answer = http.get("/", Map.of());

    assertThatThrownBy(() -> answer.orFail("the query"))
        .hasMessage("the query was answered with 503: no agent is connected");
  }

  private void answers(int status, String type, String body) {
    server.createContext(
        "/",
        exchange -> {
          byte[] bytes = body.getBytes(UTF_8);
          exchange.getResponseHeaders().add("Content-Type", type);
          exchange.sendResponseHeaders(status, bytes.length);
          exchange.getResponseBody().write(bytes);
          exchange.close();
        });
  }
}
