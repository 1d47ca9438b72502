package io.conexor.protocol.agent;

import static java.nio.charset.StandardCharsets.US_ASCII;

/** Names and limits that both ends of a link agree on. */
public final class AgentWire {
  /**
   * Version of the messages between backend and agent. Items added at the end of a message do not
   * change it: both sides ignore what they do not know, items and invocation targets alike.
   */
  public static final int VERSION = 1;

  /** Path of the agents' hub. */
  public static final String PATH = "/hub/agents";

  /** Request header with the agent's key. */
  public static final String KEY_HEADER = "X-API-Key";

  /**
   * Request header with the ids of the nodes the agent has links to already, joined by commas. A
   * backend that finds itself there refuses with 409, so that behind a load balancer an agent can
   * dial until it reaches another one.
   */
  public static final String LINKED_HEADER = "Conexor-Linked";

  /** Most bytes of one transport message that both sides must be ready to take. */
  public static final int MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

  /** Most columns of a result. */
  public static final int MAX_COLUMNS = 4_096;

  /** Most parameters of a statement. */
  public static final int MAX_PARAMETERS = 4_096;

  /** Most sources of an agent. */
  public static final int MAX_SOURCES = 1_024;

  /** Most query ids that an agent names in a heartbeat. */
  public static final int MAX_HELD = 256;

  /** Most bytes of a name, a reason or an error message. */
  public static final int MAX_TEXT = 16_384;

  static final byte[] HELLO = ascii("hello");
  static final byte[] WELCOME = ascii("welcome");
  static final byte[] HEARTBEAT = ascii("heartbeat");
  static final byte[] CLOSING = ascii("closing");
  static final byte[] CREDIT = ascii("credit");
  static final byte[] DETACH = ascii("detach");
  static final byte[] QUERY = ascii("query");
  static final byte[] SCHEMA = ascii("schema");

  private AgentWire() {}

  private static byte[] ascii(String name) {
    return name.getBytes(US_ASCII);
  }
}
