package io.conexor.api.backplane;

/** Names a kind of direct message. 1 to 64 characters of {@code [a-z0-9.-]}. */
public record Channel(String name) {

  public Channel {
    if (!name.matches("[a-z0-9.-]{1,64}")) {
      throw new IllegalArgumentException(
          "channel '" + name + "' is not 1..64 characters of a-z, 0-9, . and -");
    }
  }
}
