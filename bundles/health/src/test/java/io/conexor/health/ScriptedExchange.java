package io.conexor.health;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.http.HttpExchange;
import io.conexor.api.http.HttpStream;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A request made up by a test; keeps the answer. */
final class ScriptedExchange implements HttpExchange {

  private final String method;
  private final String path;
  private final Map<String, String> headers = new HashMap<>();
  final Map<String, String> answered = new HashMap<>();
  int status;
  String text = "";

  ScriptedExchange(String method, String path) {
    this.method = method;
    this.path = path;
  }

  ScriptedExchange key(String key) {
    headers.put("X-API-Key", key);
    return this;
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
    return Optional.empty();
  }

  @Override
  public Optional<String> header(String name) {
    return Optional.ofNullable(headers.get(name));
  }

  @Override
  public List<String> headers(String name) {
    return header(name).map(List::of).orElse(List.of());
  }

  @Override
  public byte[] body() {
    return new byte[0];
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
  public void onGone(Runnable action) {}

  @Override
  public HttpExchange withHeader(String name, String value) {
    answered.put(name, value);
    return this;
  }

  @Override
  public void respond(int code, String contentType, byte[] bytes, int offset, int length) {
    if (status != 0) {
      throw new IllegalStateException("answered twice");
    }
    status = code;
    answered.put("Content-Type", contentType);
    text = new String(bytes, offset, length, UTF_8);
  }

  @Override
  public void respond(int code) {
    respond(code, "", new byte[0]);
  }

  @Override
  public HttpStream stream(int code, String contentType) {
    throw new UnsupportedOperationException();
  }
}
