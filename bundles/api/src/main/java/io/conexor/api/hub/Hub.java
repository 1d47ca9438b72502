package io.conexor.api.hub;

import io.conexor.api.access.Principal;
import java.util.Optional;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * A hub contributed by a bundle, served at {@code /hub/NAME} to SignalR clients. Registered as a
 * service; when it goes, its connections are closed and clients may come back.
 *
 * <p><b>Values</b> (arguments, items, results) are null, Boolean, Long, Double, String, byte[]
 * (from MessagePack only; base64 text towards JSON), List, and Map with String keys. What is sent
 * may also hold the other boxed numbers, BigInteger and BigDecimal.
 *
 * <p><b>Threads.</b> For one connection: one call at a time, in order; {@link #opened} is the first
 * and {@link #closed} the last. Calls for different connections run concurrently. Nothing may
 * block.
 *
 * <p><b>Failure.</b> An exception from {@link #invoked} fails the invocation with the message of a
 * {@link io.conexor.api.ConexorException}, any other with "the server failed"; the connection
 * stays.
 */
@ConsumerType
public interface Hub {

  /** 1 to 32 characters of {@code [a-z0-9-]}; constant. */
  String name();

  /** Why this principal may not connect, for people; empty when it may. */
  Optional<String> refusal(Principal principal);

  /** Gives the way to reach connections anywhere in the fleet; called before any connection. */
  void attached(HubClients clients);

  /**
   * A connection begins on this backend: a new one, or one that is resumed here after another
   * backend had it; a resumed one has its groups and knows nothing of what the hub kept elsewhere.
   */
  void opened(HubConnection connection);

  /** The client invokes a method; unknown targets should {@link HubCall#fail}. */
  void invoked(HubCall call);

  /** It has ended, or goes on at another backend. */
  void closed(HubConnection connection, String reason);
}
