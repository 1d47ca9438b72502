package io.conexor.http;

import io.conexor.api.http.HttpExchange;
import io.conexor.api.http.HttpStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.PreEncodedHttpField;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.Fields;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One request on Jetty. Whoever answers first wins; later answers are dropped. */
final class Exchange implements HttpExchange {

  private static final Logger log = LoggerFactory.getLogger(Exchange.class);

  private static final Runnable GONE = new Gone();
  private static final byte[] NOTHING = new byte[0];
  private static final PreEncodedHttpField NOSNIFF =
      new PreEncodedHttpField("X-Content-Type-Options", "nosniff");
  private static final PreEncodedHttpField NO_STORE =
      new PreEncodedHttpField(HttpHeader.CACHE_CONTROL, "no-store");
  private static final PreEncodedHttpField NO_REFERRER =
      new PreEncodedHttpField("Referrer-Policy", "no-referrer");
  private static final PreEncodedHttpField CLOSED_POLICY =
      new PreEncodedHttpField(
          "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  private static final PreEncodedHttpField HSTS =
      new PreEncodedHttpField("Strict-Transport-Security", "max-age=31536000");

  private final JettyServer server;
  final Request request;
  private final Response response;
  private final Callback callback;
  private final String path;
  private final String requestId;
  final long since = System.nanoTime();
  private byte[] body = NOTHING;
  private @Nullable Fields query;

  private final AtomicBoolean answered = new AtomicBoolean();

  /** Set by the thread that completes Jetty's callback; read by the watch. */
  private volatile boolean complete;

  /** The action for a client that goes, or GONE. */
  private final AtomicReference<@Nullable Runnable> gone = new AtomicReference<>();

  /**
   * The watch's handle to this exchange; emptied at the end, so that the queue holds no requests.
   */
  volatile Watch.@Nullable Entry entry;

  Exchange(JettyServer server, Request request, Response response, Callback callback, String path) {
    this.server = server;
    this.request = request;
    this.response = response;
    this.callback = callback;
    this.path = path;
    this.requestId = server.requestId(request.getHeaders().get("X-Request-Id"));
  }

  void body(byte[] bytes) {
    body = bytes;
  }

  @Override
  public String method() {
    return request.getMethod();
  }

  @Override
  public String path() {
    return path;
  }

  @Override
  public Optional<String> queryParameter(String name) {
    Fields fields = query;
    if (fields == null) {
      fields = Request.extractQueryParameters(request);
      query = fields;
    }
    return Optional.ofNullable(fields.getValue(name));
  }

  @Override
  public Optional<String> header(String name) {
    return Optional.ofNullable(request.getHeaders().get(name));
  }

  @Override
  public List<String> headers(String name) {
    return request.getHeaders().getValuesList(name);
  }

  @Override
  public byte[] body() {
    return body;
  }

  @Override
  public String remoteAddress() {
    String peer = Request.getRemoteAddr(request);
    TrustedProxies proxies = server.settings().proxies();
    return proxies.isEmpty() ? peer : proxies.client(peer, headers("X-Forwarded-For"));
  }

  @Override
  public boolean isSecure() {
    if (request.isSecure()) {
      return true;
    }
    TrustedProxies proxies = server.settings().proxies();
    return !proxies.isEmpty()
        && "https".equalsIgnoreCase(request.getHeaders().get("X-Forwarded-Proto"))
        && proxies.trusts(Request.getRemoteAddr(request));
  }

  @Override
  public String requestId() {
    return requestId;
  }

  @Override
  public void onGone(Runnable action) {
    Runnable now = gone.get();
    while (now != GONE) {
      if (gone.compareAndSet(now, action)) {
        return;
      }
      now = gone.get();
    }
    if (!complete) {
      action.run();
    }
  }

  /** The client has gone, or must be treated as if. */
  void gone() {
    Runnable action = gone.getAndSet(GONE);
    if (action != null && action != GONE && !complete) {
      try {
        action.run();
      } catch (RuntimeException e) {
        log.error("what was to happen when a client goes failed", e);
      }
    }
  }

  /** Looks whether the client has closed its connection. */
  boolean clientHasGone() {
    EndPoint endPoint = request.getConnectionMetaData().getConnection().getEndPoint();
    EndPoint raw = endPoint instanceof EndPoint.Wrapper wrapper ? wrapper.unwrap() : endPoint;
    return raw instanceof WatchedEndPoint watched && watched.peek();
  }

  boolean isComplete() {
    return complete;
  }

  boolean isAnswered() {
    return answered.get();
  }

  @Override
  public HttpExchange withHeader(String name, String value) {
    if (!answered.get()) {
      response.getHeaders().put(name, value);
    }
    return this;
  }

  @Override
  public void respond(int status, String contentType, byte[] bytes, int offset, int length) {
    if (answered.compareAndSet(false, true)) {
      head(status).put(HttpHeader.CONTENT_TYPE, contentType);
      send(ByteBuffer.wrap(bytes, offset, length));
    }
  }

  @Override
  public void respond(int status) {
    if (answered.compareAndSet(false, true)) {
      head(status);
      send(null);
    }
  }

  void problem(int status, String code, String detail) {
    respond(status, Problems.TYPE, Problems.json(status, code, detail));
  }

  private void send(@Nullable ByteBuffer bytes) {
    response.write(true, bytes, Callback.from(this::succeeded, this::failed));
  }

  /** The socket belongs to a WebSocket from now on. */
  boolean takeOver() {
    return answered.compareAndSet(false, true);
  }

  Response response() {
    return response;
  }

  Callback completion() {
    return Callback.from(this::succeeded, this::failed);
  }

  private void succeeded() {
    finish();
    callback.succeeded();
  }

  private void failed(Throwable cause) {
    gone();
    finish();
    callback.failed(cause);
  }

  private void finish() {
    complete = true;
    Watch.Entry watched = entry;
    if (watched != null) {
      watched.clear();
    }
    server.ended();
  }

  private HttpFields.Mutable head(int status) {
    response.setStatus(status);
    HttpFields.Mutable headers = response.getHeaders();
    headers.put("X-Request-Id", requestId);
    headers.add(NOSNIFF);
    headers.add(NO_REFERRER);
    if (!headers.contains(HttpHeader.CACHE_CONTROL)) {
      headers.add(NO_STORE);
    }
    if (!headers.contains("Content-Security-Policy")) {
      headers.add(CLOSED_POLICY);
    }
    if (server.isDraining()) {
      headers.put(HttpHeader.CONNECTION, "close");
    }
    if (request.isSecure()) {
      headers.add(HSTS);
    }
    return headers;
  }

  @Override
  public HttpStream stream(int status, String contentType) {
    if (!answered.compareAndSet(false, true)) {
      return new Dropped();
    }
    head(status).put(HttpHeader.CONTENT_TYPE, contentType);
    return new Streaming();
  }

  private final class Streaming implements HttpStream {
    private final AtomicBoolean ended = new AtomicBoolean();

    @Override
    public CompletionStage<Void> write(byte[] bytes, int offset, int length) {
      CompletableFuture<Void> done = new CompletableFuture<>();
      if (ended.get() || gone.get() == GONE) {
        done.completeExceptionally(new IOException("the client has gone"));
        return done;
      }
      response.write(
          false,
          ByteBuffer.wrap(bytes, offset, length),
          Callback.from(
              () -> done.complete(null),
              cause -> {
                gone();
                done.completeExceptionally(
                    cause instanceof IOException ? cause : new IOException(cause));
              }));
      return done;
    }

    @Override
    public void end() {
      if (ended.compareAndSet(false, true)) {
        send(null);
      }
    }

    @Override
    public void abort() {
      if (ended.compareAndSet(false, true)) {
        finish();
        callback.failed(new EofQuietly());
      }
    }
  }

  /** Jetty closes the connection on it and does not log. */
  private static final class EofQuietly extends org.eclipse.jetty.io.EofException {
    EofQuietly() {
      super("answer given up");
    }
  }

  /** Says that the client has gone. */
  private static final class Gone implements Runnable {
    @Override
    public void run() {}
  }

  private static final class Dropped implements HttpStream {
    @Override
    public CompletionStage<Void> write(byte[] bytes, int offset, int length) {
      return CompletableFuture.failedFuture(new IOException("already answered"));
    }

    @Override
    public void end() {}

    @Override
    public void abort() {}
  }
}
