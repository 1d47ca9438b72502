package io.conexor.rest;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.http.HttpExchange;
import io.conexor.api.http.HttpStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import tools.jackson.databind.JsonNode;

/** A request made up by a test; keeps the answer, and holds writes back when told so. */
final class ScriptedExchange implements HttpExchange {

  private final String method;
  private final String path;
  private final byte[] body;
  private final Map<String, String> headers = new HashMap<>();
  private final Map<String, String> query = new HashMap<>();

  final Map<String, String> answered = new HashMap<>();
  final ByteArrayOutputStream out = new ByteArrayOutputStream();
  final CompletableFuture<Integer> end = new CompletableFuture<>();
  final ArrayDeque<CompletableFuture<Void>> held = new ArrayDeque<>();
  volatile boolean isHolding;
  volatile boolean isGone;
  volatile boolean isAborted;
  volatile int status;
  private volatile Runnable whenGone = () -> {};

  ScriptedExchange(String method, String path, String body) {
    int question = path.indexOf('?');
    this.method = method;
    this.path = RestApi.PATH + (question < 0 ? path : path.substring(0, question));
    this.body = body.getBytes(UTF_8);
    if (question >= 0) {
      for (String pair : path.substring(question + 1).split("&")) {
        query.put(pair.split("=")[0], pair.substring(pair.indexOf('=') + 1));
      }
    }
  }

  ScriptedExchange header(String name, String value) {
    headers.put(name.toLowerCase(Locale.ROOT), value);
    return this;
  }

  void goAway() {
    isGone = true;
    whenGone.run();
  }

  ScriptedExchange await() {
    try {
      status = end.get(20, TimeUnit.SECONDS);
      return this;
    } catch (Exception e) {
      throw new AssertionError(method + " " + path + " was not answered", e);
    }
  }

  String text() {
    return out.toString(UTF_8);
  }

  JsonNode json() {
    return Json.parse(out.toByteArray());
  }

  @Override
  public String method() {
    return method;
  }

  @Override
  public String path() {
    return path;
  }

  @Override
  public Optional<String> queryParameter(String name) {
    return Optional.ofNullable(query.get(name));
  }

  @Override
  public Optional<String> header(String name) {
    return Optional.ofNullable(headers.get(name.toLowerCase(Locale.ROOT)));
  }

  @Override
  public List<String> headers(String name) {
    return header(name).map(List::of).orElse(List.of());
  }

  @Override
  public byte[] body() {
    return body;
  }

  @Override
  public String remoteAddress() {
    return "192.0.2.1";
  }

  @Override
  public boolean isSecure() {
    return true;
  }

  @Override
  public String requestId() {
    return "request-1";
  }

  @Override
  public void onGone(Runnable action) {
    whenGone = action;
    if (isGone) {
      action.run();
    }
  }

  @Override
  public HttpExchange withHeader(String name, String value) {
    answered.put(name, value);
    return this;
  }

  @Override
  public void respond(int code, String contentType, byte[] bytes, int offset, int length) {
    answered.put("Content-Type", contentType);
    out.write(bytes, offset, length);
    finish(code);
  }

  @Override
  public void respond(int code) {
    finish(code);
  }

  private void finish(int code) {
    if (!end.complete(code)) {
      throw new IllegalStateException("answered twice");
    }
  }

  @Override
  public HttpStream stream(int code, String contentType) {
    answered.put("Content-Type", contentType);
    return new HttpStream() {
      @Override
      public CompletionStage<Void> write(byte[] bytes, int offset, int length) {
        if (isGone) {
          return CompletableFuture.failedFuture(new IOException("gone"));
        }
        out.write(bytes, offset, length);
        if (!isHolding) {
          return CompletableFuture.completedFuture(null);
        }
        CompletableFuture<Void> later = new CompletableFuture<>();
        held.add(later);
        return later;
      }

      @Override
      public void end() {
        finish(code);
      }

      @Override
      public void abort() {
        isAborted = true;
        finish(code);
      }
    };
  }
}
