package io.conexor.agent.link;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.Secret;
import java.net.InetSocketAddress;
import java.util.Base64;
import java.util.Optional;

/**
 * A proxy between the agent and its backends; the link goes through it by CONNECT.
 *
 * @param user empty = the proxy asks for none
 */
record HttpProxy(InetSocketAddress address, String user, Secret password) {

  private static final String DISABLED = "jdk.http.auth.tunneling.disabledSchemes";

  /**
   * What proves to the proxy who dials, to be sent with every dial, so that no dial is refused
   * first. The JDK sends it to nobody but the proxy.
   */
  Optional<String> authorization() {
    if (user.isEmpty()) {
      return Optional.empty();
    }
    byte[] pair = (user + ":" + password.reveal()).getBytes(UTF_8);
    return Optional.of("Basic " + Base64.getEncoder().encodeToString(pair));
  }

  /**
   * The JDK keeps back a Basic login before a tunnel unless this property, read with the first
   * client of the process, says otherwise. The agent's archive sets it on the command line; this is
   * for other frameworks, and comes in time unless someone there made a client before.
   */
  static void allowBasicLogin() {
    if (System.getProperty(DISABLED) == null) {
      System.setProperty(DISABLED, "none");
    }
  }
}
