package io.conexor.itests.lab;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.agent.AgentEncoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.AgentWire;
import io.conexor.protocol.hub.Handshake;
import io.conexor.protocol.hub.HubProtocol;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Links that do nothing but send signs of life: WebSockets by hand on one thread, since the real
 * ones would cost this process more than they cost the backend.
 */
final class IdleLinks implements AutoCloseable {

  private final Selector selector;
  private final InetSocketAddress backend;
  private final byte[] upgrade;
  private final long heartbeatNanos;
  private final List<Link> links = new ArrayList<>();
  private final AtomicInteger welcomed = new AtomicInteger();
  private final AtomicInteger lost = new AtomicInteger();
  private final ByteBuffer in = ByteBuffer.allocateDirect(65_536);
  private final byte[] heartbeat;
  // Written by the test, read by the thread.
  private volatile int wanted;
  private volatile boolean isClosed;

  private static final class Link {
    private final SocketChannel channel;
    private boolean isUpgraded;
    private boolean isWelcomed;
    private long nextBeat;

    Link(SocketChannel channel) {
      this.channel = channel;
    }
  }

  IdleLinks(int port, String key, Duration heartbeat) {
    this.backend = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
    this.heartbeatNanos = heartbeat.toNanos();
    this.heartbeat = frame(encoded(new AgentMessage.Heartbeat(0, 0, List.of(), 1)));
    this.upgrade =
        ("GET "
                + AgentWire.PATH
                + " HTTP/1.1\r\nHost: lab\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                + AgentWire.KEY_HEADER
                + ": "
                + key
                + "\r\n\r\n")
            .getBytes(US_ASCII);
    try {
      selector = Selector.open();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Thread thread = new Thread(this::run, "idle-links");
    thread.setDaemon(true);
    thread.start();
  }

  /** Opens more until there are so many, and returns when all were welcomed. */
  void open(int count, Duration limit) {
    wanted = count;
    long since = System.nanoTime();
    while (welcomed.get() < count) {
      if (System.nanoTime() - since > limit.toNanos()) {
        throw new AssertionError("only " + welcomed + " links are up, " + lost + " were lost");
      }
      AgentFleet.pass(Duration.ofMillis(20));
    }
  }

  int lost() {
    return lost.get();
  }

  private void run() {
    try {
      while (!isClosed) {
        // A few at a time: the backend's accept queue is not what is looked at here.
        for (int i = 0;
            i < 20 && links.size() < wanted && links.size() - welcomed.get() < 200;
            i++) {
          dial();
        }
        selector.select(5);
        for (SelectionKey key : selector.selectedKeys()) {
          ready(key);
        }
        selector.selectedKeys().clear();
        beat(System.nanoTime());
      }
      for (Link link : links) {
        link.channel.close();
      }
      selector.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void dial() throws IOException {
    SocketChannel channel = SocketChannel.open(backend);
    channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
    channel.write(ByteBuffer.wrap(upgrade));
    channel.configureBlocking(false);
    Link link = new Link(channel);
    links.add(link);
    channel.register(selector, SelectionKey.OP_READ, link);
  }

  private void ready(SelectionKey key) throws IOException {
    Link link = (Link) key.attachment();
    in.clear();
    int read;
    try {
      read = link.channel.read(in);
    } catch (IOException e) {
      read = -1;
    }
    if (read < 0) {
      key.cancel();
      link.channel.close();
      link.nextBeat = Long.MAX_VALUE;
      lost.incrementAndGet();
    } else if (!link.isUpgraded) {
      String answer = US_ASCII.decode(in.flip()).toString();
      if (!answer.startsWith("HTTP/1.1 101")) {
        throw new IOException("no link: " + answer.lines().findFirst().orElse(""));
      }
      link.isUpgraded = true;
      GrowingBytes hello = new GrowingBytes(256, 65_536);
      hello.put(Handshake.request(HubProtocol.MESSAGE_PACK, 1));
      new AgentEncoder(hello)
          .message(
              new AgentMessage.Hello(
                  AgentWire.VERSION, "0.1.0", UUID.randomUUID().toString(), "idle", List.of(), 1));
      link.channel.write(ByteBuffer.wrap(frame(hello.toByteArray())));
    } else if (!link.isWelcomed && contains("welcome")) {
      link.isWelcomed = true;
      // Spread over the interval, as links that came up by themselves are.
      link.nextBeat = System.nanoTime() + (long) (Math.random() * heartbeatNanos);
      welcomed.incrementAndGet();
    }
  }

  private boolean contains(String text) {
    byte[] bytes = new byte[in.flip().remaining()];
    in.get(bytes);
    return new String(bytes, java.nio.charset.StandardCharsets.ISO_8859_1).contains(text);
  }

  private void beat(long now) throws IOException {
    for (Link link : links) {
      if (link.isWelcomed && link.nextBeat != Long.MAX_VALUE && now - link.nextBeat >= 0) {
        link.nextBeat = now + heartbeatNanos;
        link.channel.write(ByteBuffer.wrap(heartbeat));
      }
    }
  }

  private static byte[] encoded(AgentMessage message) {
    GrowingBytes out = new GrowingBytes(64, 65_536);
    new AgentEncoder(out).message(message);
    return out.toByteArray();
  }

  /** One binary frame of a client; a mask of zeros changes nothing. */
  private static byte[] frame(byte[] payload) {
    ByteBuffer out = ByteBuffer.allocate(payload.length + 8);
    out.put((byte) 0x82);
    if (payload.length < 126) {
      out.put((byte) (0x80 | payload.length));
    } else {
      out.put((byte) (0x80 | 126)).putShort((short) payload.length);
    }
    out.putInt(0).put(payload);
    return java.util.Arrays.copyOf(out.array(), out.position());
  }

  @Override
  public void close() {
    isClosed = true;
    selector.wakeup();
  }
}
