package io.conexor.api.agent;

import org.osgi.annotation.versioning.ProviderType;

/** A link of this backend. Methods may be called from any thread and do not block. */
@ProviderType
public interface AgentLink {

  LinkId id();

  /** As last announced. */
  Attachment attachment();

  /**
   * Queues whole, length-prefixed hub messages; order is kept per sending thread.
   *
   * @param bytes given away: not to be changed any more
   * @return false when the link is closed or its outbound bound is reached; nothing was queued then
   */
  boolean send(byte[] bytes, int offset, int length);

  /** Closes it with a reason the agent logs. Idempotent. */
  void close(String reason);
}
