package io.conexor.dispatch;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.protocol.agent.AgentMessage.CallError;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** The failures of calls, in words; the table is docs/failure-semantics.md, "Calls to agents". */
final class Failures {

  private static final Duration SOON = Duration.ofSeconds(1);

  private Failures() {}

  static ConexorException noAgent(String source) {
    return new ConexorException(
        Blame.DEPENDENCY,
        Applied.NO,
        "no_agent",
        "no agent that serves '" + source + "' is connected; start its agent, or look at its log",
        null,
        Duration.ofSeconds(2));
  }

  static ConexorException unreachable(String source) {
    return new ConexorException(
        Blame.DEPENDENCY,
        Applied.NO,
        "agent_unreachable",
        "the agents of '"
            + source
            + "' are linked to other backends, which this one can't reach now; is Redis well?",
        null,
        Duration.ofSeconds(2));
  }

  static ConexorException writeNotAnnounced(String source) {
    return new ConexorException(
        Blame.CALLER,
        Applied.NO,
        "write_not_announced",
        "the agents of '"
            + source
            + "' allow changes, so a request has to say that it may make some: header"
            + " 'Conexor-Write: true'");
  }

  static ConexorException sourceBusy(String source, int queued, long waitNanos) {
    return new ConexorException(
        Blame.CAPACITY,
        Applied.NO,
        "source_busy",
        "all agents of '" + source + "' are busy and " + queued + " calls wait; try again shortly",
        null,
        soon(waitNanos));
  }

  static ConexorException organisationBusy(long waitNanos) {
    return new ConexorException(
        Blame.CAPACITY,
        Applied.NO,
        "organisation_busy",
        "too many calls of this organisation wait at this backend; try again shortly",
        null,
        soon(waitNanos));
  }

  private static Duration soon(long waitNanos) {
    Duration wait = Duration.ofNanos(waitNanos);
    Duration most = Duration.ofSeconds(30);
    return wait.compareTo(SOON) < 0 ? SOON : wait.compareTo(most) > 0 ? most : wait;
  }

  static ConexorException backendFull() {
    return new ConexorException(
        Blame.CAPACITY,
        Applied.NO,
        "backend_busy",
        "this backend has no room for another call; try again shortly",
        null,
        SOON);
  }

  static ConexorException broken(String agent, String source, long pauseNanos) {
    return new ConexorException(
        Blame.DEPENDENCY,
        Applied.NO,
        "agent_failing",
        "agent '"
            + agent
            + "' failed every recent call to '"
            + source
            + "'; it is tried again soon",
        null,
        Duration.ofNanos(pauseNanos).plusMillis(1));
  }

  static ConexorException lost(String agent, Applied applied, String reason) {
    return new ConexorException(
        Blame.DEPENDENCY,
        applied,
        "agent_lost",
        "the link to agent '"
            + agent
            + "' was lost ("
            + reason
            + (applied == Applied.NO
                ? "); the statement was not sent"
                : "); the statement may have run"),
        null,
        SOON);
  }

  static ConexorException misbehaved(String agent, String what) {
    return new ConexorException(
        Blame.BUG, Applied.UNKNOWN, "agent_protocol", "agent '" + agent + "' sent " + what);
  }

  static ConexorException deadline(
      String source, @Nullable String agent, Applied applied, @Nullable ConexorException last) {
    String message =
        agent == null
            ? "no agent of '" + source + "' had room within the deadline"
            : "agent '" + agent + "' did not answer for '" + source + "' within the deadline";
    if (last != null) {
      message += "; before that: " + last.text();
    }
    return new ConexorException(Blame.DEPENDENCY, applied, "deadline_exceeded", message);
  }

  /** What an agent said; words this version does not know count as the worst. */
  static ConexorException of(String agent, CallError error) {
    Blame blame = Blame.BUG;
    for (Blame known : Blame.values()) {
      if (known.name().equals(error.blame())) {
        blame = known;
      }
    }
    Applied applied = error.applied().equals("NO") ? Applied.NO : Applied.UNKNOWN;
    return new ConexorException(
        blame,
        applied,
        error.code(),
        "agent '" + agent + "': " + error.message(),
        null,
        blame == Blame.CAPACITY ? SOON : null);
  }
}
