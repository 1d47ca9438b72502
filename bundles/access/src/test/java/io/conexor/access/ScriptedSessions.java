package io.conexor.access;

import io.conexor.api.ConexorException.Applied;
import io.conexor.api.session.Session;
import io.conexor.api.session.SessionId;
import io.conexor.api.session.SessionStore;
import io.conexor.api.session.SessionsUnavailableException;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/** Keeps sessions in a map and is away when told so. */
final class ScriptedSessions implements SessionStore {

  final Map<SessionId, Session> sessions = new ConcurrentHashMap<>();
  volatile boolean isAway;

  private void answer() {
    if (isAway) {
      throw new SessionsUnavailableException(Applied.UNKNOWN, "scripted to be away", null);
    }
  }

  @Override
  public Session create(String subject, Map<String, String> attributes, Duration timeToLive) {
    answer();
    Session session =
        new Session(
            new SessionId(UUID.randomUUID().toString()),
            subject,
            Instant.now(),
            Instant.now().plus(timeToLive),
            attributes);
    sessions.put(session.id(), session);
    return session;
  }

  @Override
  public Optional<Session> find(SessionId id) {
    answer();
    return Optional.ofNullable(sessions.get(id));
  }

  @Override
  public Optional<Session> update(SessionId id, Map<String, String> set, List<String> remove) {
    answer();
    return Optional.ofNullable(
        sessions.computeIfPresent(
            id,
            (key, session) -> {
              Map<String, String> attributes = new HashMap<>(session.attributes());
              attributes.putAll(set);
              remove.forEach(attributes::remove);
              return new Session(
                  id, session.subject(), session.createdAt(), session.expiresAt(), attributes);
            }));
  }

  @Override
  public Optional<Session> rotate(SessionId id) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void remove(SessionId id) {
    answer();
    sessions.remove(id);
  }

  @Override
  public int removeAll(String subject, Optional<SessionId> except) {
    answer();
    int before = sessions.size();
    sessions
        .values()
        .removeIf(
            session ->
                session.subject().equals(subject) && !except.equals(Optional.of(session.id())));
    return before - sessions.size();
  }

  @Override
  public List<Session> list(String subject) {
    answer();
    return sessions.values().stream().filter(s -> s.subject().equals(subject)).toList();
  }
}
