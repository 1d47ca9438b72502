package io.conexor.hub.clients;

import java.time.Duration;
import java.util.concurrent.CompletionStage;

/**
 * The mailbox of a connection without a socket of its own, here or on the backend that owns it.
 * Every request may be repeated with the same id, which is how one that was lost between backends
 * is made good.
 */
interface Mail {

  /** What a poll got. */
  sealed interface Polled {
    /** Whole hub messages. They are kept until the next poll, so that this one may be repeated. */
    record Data(byte[] bytes) implements Polled {}

    /** Nothing came in time; the first poll of a connection gets this at once. */
    record Nothing() implements Polled {}

    /** Another poll took its place. */
    record Replaced() implements Polled {}

    /** It has ended and everything was fetched. */
    record Ended() implements Polled {}

    /** There is no such connection, or it can't be polled this way. */
    record Refused(int status) implements Polled {}
  }

  CompletionStage<Polled> poll(String pollId, Duration wait);

  /**
   * @return an HTTP status
   */
  CompletionStage<Integer> post(String postId, byte[] body);

  /**
   * @return an HTTP status
   */
  CompletionStage<Integer> end(String reason);
}
