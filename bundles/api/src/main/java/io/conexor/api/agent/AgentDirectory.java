package io.conexor.api.agent;

import io.conexor.api.Subscription;
import io.conexor.api.catalog.OrgId;
import java.util.List;
import java.util.function.Consumer;
import org.osgi.annotation.versioning.ProviderType;

/**
 * Which agents are attached to which backends of the fleet, and how they are doing. Built from what
 * the hub of every backend tells its own directory, spread over the backplane; nothing is stored.
 *
 * <p><b>Threads.</b> Safe for concurrent use; nothing blocks; {@link #serving} takes no lock.
 *
 * <p><b>Consistency.</b> Links of this backend are exact. Those of others are right but for the
 * delay of the backplane; what was not confirmed for three heartbeats is dropped.
 */
@ProviderType
public interface AgentDirectory {

  /**
   * The links through which a source can be reached now, those of this backend first; the list is
   * immutable and shared.
   */
  List<Attachment> serving(OrgId org, String source);

  /** All links of an organisation. */
  List<Attachment> attached(OrgId org);

  /** All links of all organisations, for the operator of the fleet. */
  List<Attachment> attached();

  /** How many backends are alive as far as this one knows, itself included; at least 1. */
  int fleetSize();

  /** Tells about a link of this backend: new, or changed. The hub calls it. */
  void announce(Attachment attachment);

  /** Forgets a link of this backend. */
  void withdraw(LinkId link, String reason);

  /** Calls the listener with the organisation after every change. Must not block. */
  Subscription onChange(Consumer<OrgId> listener);
}
