package io.conexor.hub.clients;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.conexor.api.http.HttpExchange;
import io.conexor.api.http.HttpStream;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** Server-sent events: empties a mailbox, here or elsewhere, into one long answer. */
final class EventStream {
  private static final Duration WAIT = Duration.ofSeconds(20);
  private static final byte[] BEGIN = ": \r\n\r\n".getBytes(US_ASCII);
  private static final byte[] HEAD = "data: ".getBytes(US_ASCII);
  private static final byte[] TAIL = "\r\n\r\n".getBytes(US_ASCII);

  private final HttpExchange exchange;
  private final Mail mail;
  private final String name;
  private final ClientHub home;

  /** Keeps answers that come at once from calling each other ever deeper. */
  private final Serial serial;

  private @Nullable HttpStream stream;
  private long polls;
  private boolean gone;

  EventStream(HttpExchange exchange, Mail mail, String name, ClientHub home) {
    this.exchange = exchange;
    this.mail = mail;
    this.name = name;
    this.home = home;
    this.serial = new Serial(home.pool());
  }

  void start() {
    exchange.onGone(
        () ->
            serial.run(
                () -> {
                  gone = true;
                  var unused = mail.end("its event stream is gone");
                }));
    serial.run(this::poll);
  }

  private void poll() {
    if (gone) {
      return;
    }
    var unused =
        mail.poll(name + "." + polls++, WAIT)
            .whenComplete((polled, failure) -> serial.run(() -> polled(polled)));
  }

  private void polled(Mail.@Nullable Polled polled) {
    if (polled instanceof Mail.Polled.Data data) {
      write(event(data.bytes()));
    } else if (polled instanceof Mail.Polled.Nothing) {
      if (stream == null) {
        exchange.withHeader("Cache-Control", "no-cache, no-store");
        exchange.withHeader("X-Accel-Buffering", "no");
        stream = exchange.stream(200, "text/event-stream");
        write(BEGIN);
      } else {
        poll();
      }
    } else if (stream == null) {
      int status = polled instanceof Mail.Polled.Refused refused ? refused.status() : 404;
      home.refuse(exchange, status);
    } else if (polled instanceof Mail.Polled.Ended) {
      stream.end();
    } else {
      stream.abort();
    }
  }

  /** JSON has no raw line breaks, so everything is one line. */
  private static byte[] event(byte[] bytes) {
    byte[] event = new byte[HEAD.length + bytes.length + TAIL.length];
    System.arraycopy(HEAD, 0, event, 0, HEAD.length);
    System.arraycopy(bytes, 0, event, HEAD.length, bytes.length);
    System.arraycopy(TAIL, 0, event, HEAD.length + bytes.length, TAIL.length);
    return event;
  }

  private void write(byte[] bytes) {
    HttpStream current = stream;
    if (current == null) {
      current = exchange.stream(200, "text/event-stream");
      stream = current;
    }
    var unused =
        current
            .write(bytes, 0, bytes.length)
            .whenComplete((done, failure) -> serial.run(() -> written(failure)));
  }

  private void written(@Nullable Throwable failure) {
    if (failure == null) {
      poll();
    } else if (!gone) {
      gone = true;
      var unused = mail.end("its event stream is gone");
    }
  }
}
