package io.conexor.api.agent;

/**
 * Names one link: one WebSocket from one agent process to one backend. Made by the backend, unique
 * within its node and never reused.
 */
public record LinkId(long value) {

  @Override
  public String toString() {
    return Long.toString(value);
  }
}
