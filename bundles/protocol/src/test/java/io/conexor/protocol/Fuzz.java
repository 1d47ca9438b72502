package io.conexor.protocol;

import static org.assertj.core.api.Assertions.fail;

import java.util.Arrays;
import java.util.HexFormat;
import java.util.Random;
import java.util.function.Consumer;

/**
 * Feeds random and mutated bytes to a decoder: it may return or throw ProtocolException, nothing
 * else.
 */
public final class Fuzz {
  private static final int ROUNDS = Integer.getInteger("conexor.fuzz.rounds", 20_000);

  private final long seed = Long.getLong("conexor.fuzz.seed", System.nanoTime());
  private final Random random = new Random(seed);

  public Random random() {
    return random;
  }

  public long seed() {
    return seed;
  }

  /** Bytes with no plan at all. */
  public void randomBytes(Consumer<byte[]> decoder) {
    for (int i = 0; i < ROUNDS; i++) {
      byte[] bytes = new byte[random.nextInt(64)];
      random.nextBytes(bytes);
      run(bytes, decoder);
    }
  }

  /** Valid bytes with some of them changed, cut, doubled or removed. */
  public void mutations(byte[] valid, Consumer<byte[]> decoder) {
    for (int i = 0; i < ROUNDS; i++) {
      byte[] bytes = valid.clone();
      for (int n = random.nextInt(3); n >= 0 && bytes.length > 0; n--) {
        int at = random.nextInt(bytes.length);
        switch (random.nextInt(4)) {
          case 0 -> bytes[at] = (byte) random.nextInt();
          case 1 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
          case 2 -> bytes = Arrays.copyOf(bytes, at);
          default -> {
            int width = Math.min(random.nextInt(4) + 1, bytes.length - at);
            System.arraycopy(bytes, at + width, bytes, at, bytes.length - at - width);
          }
        }
      }
      run(bytes, decoder);
    }
  }

  private void run(byte[] bytes, Consumer<byte[]> decoder) {
    try {
      decoder.accept(bytes);
    } catch (ProtocolException e) {
      if (e.position() < 0 || e.position() > bytes.length) {
        fail("position " + e.position() + " outside of " + describe(bytes));
      }
    } catch (Throwable t) {
      throw new AssertionError("decoder threw " + t + " for " + describe(bytes), t);
    }
  }

  private String describe(byte[] bytes) {
    return HexFormat.of().formatHex(bytes) + " (-Dconexor.fuzz.seed=" + seed + ")";
  }
}
