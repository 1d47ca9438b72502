package io.conexor.agent.registry;

import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.node.NodeId;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/**
 * Gossip as bytes: a version, a kind, then the fields. Each attachment and each source is preceded
 * by its length, so that a newer backend may append fields which an older one skips; a kind that is
 * not known is ignored. Both let a fleet run two neighbouring versions during an upgrade.
 */
final class GossipCodec {

  private static final int VERSION = 1;
  private static final int DELTA = 1;
  private static final int DIGEST = 2;
  private static final int ASK = 3;
  private static final int BYE = 4;
  private static final int SNAPSHOT_REQUEST = 5;
  private static final int PAGE = 6;

  /** More than any fleet has; keeps a garbled count from allocating. */
  private static final int MAX_ITEMS = 1_000_000;

  private GossipCodec() {}

  static byte[] encode(Gossip gossip) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(64);
    try (DataOutputStream out = new DataOutputStream(bytes)) {
      out.writeByte(VERSION);
      if (gossip instanceof Gossip.Delta delta) {
        out.writeByte(DELTA);
        out.writeLong(delta.before());
        out.writeLong(delta.after());
        attachments(out, delta.attached());
        out.writeInt(delta.detached().size());
        for (LinkId link : delta.detached()) {
          out.writeLong(link.value());
        }
      } else if (gossip instanceof Gossip.Digest digest) {
        out.writeByte(DIGEST);
        out.writeLong(digest.number());
        out.writeInt(digest.links());
        out.writeInt(digest.heartbeatMillis());
        out.writeInt(digest.loads().size());
        for (Map.Entry<LinkId, Integer> load : digest.loads().entrySet()) {
          out.writeLong(load.getKey().value());
          out.writeInt(load.getValue());
        }
      } else if (gossip instanceof Gossip.Ask) {
        out.writeByte(ASK);
      } else if (gossip instanceof Gossip.Bye) {
        out.writeByte(BYE);
      } else if (gossip instanceof Gossip.SnapshotRequest request) {
        out.writeByte(SNAPSHOT_REQUEST);
        out.writeLong(request.behind());
      } else if (gossip instanceof Gossip.Page page) {
        out.writeByte(PAGE);
        out.writeLong(page.number());
        out.writeBoolean(page.more());
        attachments(out, page.links());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes.toByteArray();
  }

  /**
   * @param from the node that sent it; its attachments are all its own
   * @return empty for what this version does not know
   * @throws IllegalArgumentException when it is garbled
   */
  static Optional<Gossip> decode(NodeId from, byte[] payload) {
    try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(payload))) {
      if (in.readUnsignedByte() != VERSION) {
        return Optional.empty();
      }
      return switch (in.readUnsignedByte()) {
        case DELTA -> Optional.of(delta(from, in));
        case DIGEST -> Optional.of(digest(in));
        case ASK -> Optional.of(new Gossip.Ask());
        case BYE -> Optional.of(new Gossip.Bye());
        case SNAPSHOT_REQUEST -> Optional.of(new Gossip.SnapshotRequest(in.readLong()));
        case PAGE -> Optional.of(page(from, in));
        default -> Optional.empty();
      };
    } catch (IOException | RuntimeException e) {
      throw new IllegalArgumentException("garbled gossip of " + payload.length + " bytes", e);
    }
  }

  private static Gossip.Delta delta(NodeId from, DataInputStream in) throws IOException {
    long before = in.readLong();
    long after = in.readLong();
    List<Attachment> attached = attachments(from, in);
    int count = count(in);
    List<LinkId> detached = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      detached.add(new LinkId(in.readLong()));
    }
    return new Gossip.Delta(before, after, attached, detached);
  }

  private static Gossip.Digest digest(DataInputStream in) throws IOException {
    long number = in.readLong();
    int links = in.readInt();
    int heartbeatMillis = in.readInt();
    int count = count(in);
    Map<LinkId, Integer> loads = new HashMap<>();
    for (int i = 0; i < count; i++) {
      loads.put(new LinkId(in.readLong()), in.readInt());
    }
    return new Gossip.Digest(number, links, heartbeatMillis, loads);
  }

  private static Gossip.Page page(NodeId from, DataInputStream in) throws IOException {
    long number = in.readLong();
    boolean more = in.readBoolean();
    return new Gossip.Page(number, attachments(from, in), more);
  }

  private static void attachments(DataOutputStream out, List<Attachment> attachments)
      throws IOException {
    out.writeInt(attachments.size());
    for (Attachment attachment : attachments) {
      sized(out, item -> attachment(item, attachment));
    }
  }

  private static List<Attachment> attachments(NodeId from, DataInputStream in) throws IOException {
    int count = count(in);
    List<Attachment> attachments = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      attachments.add(attachment(from, sized(in)));
    }
    return attachments;
  }

  private static void attachment(DataOutputStream out, Attachment attachment) throws IOException {
    uuid(out, attachment.org().value());
    uuid(out, attachment.agent().value());
    out.writeUTF(attachment.agentName());
    out.writeUTF(attachment.agentVersion());
    uuid(out, attachment.process());
    out.writeLong(attachment.link().value());
    out.writeLong(attachment.epoch());
    out.writeLong(attachment.since().toEpochMilli());
    out.writeBoolean(attachment.isClosing());
    out.writeInt(attachment.inFlight());
    out.writeInt(attachment.sources().size());
    for (SourceOffer source : attachment.sources()) {
      sized(out, item -> source(item, source));
    }
  }

  private static Attachment attachment(NodeId from, DataInputStream in) throws IOException {
    OrgId org = new OrgId(uuid(in));
    AgentId agent = new AgentId(uuid(in));
    String name = in.readUTF();
    String version = in.readUTF();
    UUID process = uuid(in);
    LinkId link = new LinkId(in.readLong());
    long epoch = in.readLong();
    Instant since = Instant.ofEpochMilli(in.readLong());
    boolean isClosing = in.readBoolean();
    int inFlight = in.readInt();
    int count = count(in);
    List<SourceOffer> sources = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      sources.add(source(sized(in)));
    }
    return new Attachment(
        org, agent, name, version, process, from, link, epoch, since, isClosing, inFlight, sources);
  }

  private static void source(DataOutputStream out, SourceOffer source) throws IOException {
    out.writeUTF(source.name());
    out.writeUTF(source.engine());
    out.writeUTF(source.productVersion());
    out.writeBoolean(source.isReadOnly());
    out.writeLong(source.maxRows());
    out.writeLong(source.maxBytes());
    out.writeInt(source.maxConcurrent());
    out.writeUTF(source.state().name());
    out.writeUTF(source.reason());
  }

  private static SourceOffer source(DataInputStream in) throws IOException {
    return new SourceOffer(
        in.readUTF(),
        in.readUTF(),
        in.readUTF(),
        in.readBoolean(),
        in.readLong(),
        in.readLong(),
        in.readInt(),
        state(in.readUTF()),
        in.readUTF());
  }

  /** A state that a newer version may have invented is one this version can't judge. */
  private static SourceOffer.State state(String name) {
    for (SourceOffer.State state : SourceOffer.State.values()) {
      if (state.name().equals(name)) {
        return state;
      }
    }
    return SourceOffer.State.UNKNOWN;
  }

  private static int count(DataInputStream in) throws IOException {
    int count = in.readInt();
    if (count < 0 || count > MAX_ITEMS) {
      throw new IOException("a count of " + count);
    }
    return count;
  }

  private interface Item {
    void write(DataOutputStream out) throws IOException;
  }

  private static void sized(DataOutputStream out, Item item) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(256);
    try (DataOutputStream inner = new DataOutputStream(bytes)) {
      item.write(inner);
    }
    out.writeInt(bytes.size());
    bytes.writeTo(out);
  }

  private static DataInputStream sized(DataInputStream in) throws IOException {
    int length = count(in);
    byte[] bytes = in.readNBytes(length);
    if (bytes.length < length) {
      throw new IOException("ends after " + bytes.length + " of " + length + " bytes");
    }
    return new DataInputStream(new ByteArrayInputStream(bytes));
  }

  private static void uuid(DataOutputStream out, UUID uuid) throws IOException {
    out.writeLong(uuid.getMostSignificantBits());
    out.writeLong(uuid.getLeastSignificantBits());
  }

  private static UUID uuid(DataInputStream in) throws IOException {
    return new UUID(in.readLong(), in.readLong());
  }
}
