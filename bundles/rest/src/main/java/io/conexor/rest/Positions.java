package io.conexor.rest;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.conexor.api.access.Principal;
import io.conexor.api.access.Tokens;
import io.conexor.api.database.CommitToken;
import io.conexor.api.database.Database;
import io.conexor.api.session.SessionStore;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How far each caller has written, so that any backend shows it to them: in the session, and for
 * those without one in a header that they send back. The header is signed, so that nobody can name
 * a position that was never reached and make a backend wait for it.
 */
final class Positions {

  static final String HEADER = "Conexor-Position";

  private static final Logger log = LoggerFactory.getLogger(Positions.class);

  private static final String PURPOSE = "database.position";
  private static final String ATTRIBUTE = SessionStore.GROWING + "position";
  private static final int MOST_HEADERS = 8;

  /** Longer than any replica that gets reads is behind, and than a backend misses a failover. */
  private static final Duration MEMORY = Duration.ofMinutes(10);

  /** After this a header is no better than a made-up one. */
  private static final Duration LIFE = Duration.ofDays(30);

  private final Database database;
  private final Tokens tokens;
  private final Supplier<SessionStore> sessions;
  private final Clock clock;

  Positions(Database database, Tokens tokens, Supplier<SessionStore> sessions, Clock clock) {
    this.database = database;
    this.tokens = tokens;
    this.sessions = sessions;
    this.clock = clock;
  }

  /** Does it for the call's caller, and tells them how far they have written then. Blocks. */
  Optional<Answer> following(Call call, Supplier<@Nullable Answer> work) {
    Optional<CommitToken> shown = shown(call);
    return database.following(
        shown,
        () -> {
          try {
            return Optional.ofNullable(work.get());
          } finally {
            database
                .position()
                .filter(now -> now.compareTo(shown.orElse(CommitToken.NONE)) > 0)
                .ifPresent(now -> keep(call, now));
          }
        });
  }

  /** Empty = nobody knows; who is signed in and has nothing there has written nothing lately. */
  private Optional<CommitToken> shown(Call call) {
    Optional<CommitToken> latest = Optional.empty();
    if (call.maybePrincipal().orElse(null) instanceof Principal.User) {
      String kept = call.attributes.get(ATTRIBUTE);
      latest = Optional.of(kept == null ? CommitToken.NONE : read(kept).orElse(CommitToken.NONE));
    }
    List<String> headers = call.exchange.headers(HEADER);
    if (headers.size() > MOST_HEADERS) {
      throw wrong();
    }
    for (String header : headers) {
      byte[] claims = tokens.verify(PURPOSE, header.strip()).orElseThrow(Positions::wrong);
      Optional<CommitToken> each = read(new String(claims, US_ASCII));
      latest = latest.isEmpty() ? each : latest.map(each.orElse(CommitToken.NONE)::orLater);
    }
    return latest;
  }

  private static Problem.Raised wrong() {
    return Problem.raise(
        400,
        "position_invalid",
        HEADER
            + " must be what an answer of this server said, at most 30 days ago; or leave it out");
  }

  private void keep(Call call, CommitToken position) {
    String text =
        position.text() + String.format(Locale.ROOT, "%08x", clock.instant().getEpochSecond());
    try {
      call.exchange.withHeader(HEADER, tokens.issue(PURPOSE, text.getBytes(US_ASCII), LIFE));
      if (call.maybePrincipal().orElse(null) instanceof Principal.User user) {
        var unused = sessions.get().update(user.session(), Map.of(ATTRIBUTE, text), List.of());
      }
    } catch (RuntimeException e) {
      // what was written is written; the caller may not see it at once on another backend
      log.warn(
          "request {}: how far it wrote could not be kept: {}",
          call.exchange.requestId(),
          e.getMessage());
    }
  }

  /** Empty when it is so old that it says nothing any more. */
  private Optional<CommitToken> read(String text) {
    try {
      long at = Long.parseLong(text, 24, text.length(), 16);
      return clock.instant().getEpochSecond() - at > MEMORY.toSeconds()
          ? Optional.empty()
          : Optional.of(CommitToken.of(text.substring(0, 24)));
    } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
      return Optional.empty(); // of another version
    }
  }
}
