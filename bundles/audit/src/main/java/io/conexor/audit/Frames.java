package io.conexor.audit;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.audit.AuditId;
import io.conexor.api.audit.AuditRecord;
import io.conexor.api.catalog.OrgId;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.Optional;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Records as bytes. A frame is magic (4), length (4), CRC-32C of the payload (4) and the payload;
 * the magic lets a reader find the next frame after a damaged one.
 */
final class Frames {

  static final int MAGIC = 0x43784132;
  static final int HEADER = 12;

  /** Longest text kept of any field; what is longer is cut. */
  static final int MAX_TEXT = 2_000;

  private static final int TEXTS = 12;
  private static final int FIXED = 1 + 16 + 12 + 17 + 1 + 4 + 8 + 1 + 8;

  /** The longest frame: a character takes at most three bytes. */
  static final int MAX_FRAME = HEADER + FIXED + TEXTS * (2 + 3 * MAX_TEXT);

  private static final byte VERSION = 1;

  private Frames() {}

  /** Appends a frame; the buffer has {@link #MAX_FRAME} left. */
  static void encode(AuditRecord record, ByteBuffer out) {
    int start = out.position();
    out.position(start + HEADER);
    out.put(VERSION);
    uuid(record.id().value(), out);
    Instant at = record.at();
    out.putLong(at.getEpochSecond());
    out.putInt(at.getNano());
    OrgId org = record.org();
    out.put((byte) (org == null ? 0 : 1));
    uuid(org == null ? new UUID(0, 0) : org.value(), out);
    out.put(code(record.outcome()));
    out.putInt(record.parameterCount()).putLong(record.rowCount());
    out.put((byte) (record.truncated() ? 1 : 0)).putLong(record.elapsedMicros());
    text(record.action(), out);
    text(record.principal(), out);
    text(record.remoteAddress(), out);
    text(record.requestId(), out);
    text(record.node(), out);
    text(record.mcpServer(), out);
    text(record.tool(), out);
    text(record.source(), out);
    text(record.agent(), out);
    text(record.target(), out);
    text(record.statementHash(), out);
    text(record.error(), out);
    int length = out.position() - start - HEADER;
    out.putInt(start, MAGIC).putInt(start + 4, length);
    out.putInt(start + 8, checksum(out.array(), out.arrayOffset() + start + HEADER, length));
  }

  /** How a frame turned out. */
  sealed interface Decoded {
    /**
     * @param end where the next frame begins
     */
    record Whole(AuditRecord record, int end) implements Decoded {}

    /** The bytes end within the frame. */
    record Partial() implements Decoded {}

    /** This is no frame. */
    record Damaged() implements Decoded {}
  }

  static Decoded decode(ByteBuffer in, int start) {
    int left = in.limit() - start;
    if (left < HEADER) {
      return new Decoded.Partial();
    }
    int length = in.getInt(start + 4);
    if (in.getInt(start) != MAGIC || length < 0 || length > MAX_FRAME - HEADER) {
      return new Decoded.Damaged();
    }
    if (left - HEADER < length) {
      return new Decoded.Partial();
    }
    int checksum = checksum(in.array(), in.arrayOffset() + start + HEADER, length);
    if (checksum != in.getInt(start + 8)) {
      return new Decoded.Damaged();
    }
    return record(in.duplicate().position(start + HEADER).limit(start + HEADER + length))
        .<Decoded>map(record -> new Decoded.Whole(record, start + HEADER + length))
        .orElseGet(Decoded.Damaged::new);
  }

  private static Optional<AuditRecord> record(ByteBuffer in) {
    try {
      if (in.get() != VERSION) {
        return Optional.empty();
      }
      AuditId id = new AuditId(uuid(in));
      Instant at = Instant.ofEpochSecond(in.getLong(), in.getInt());
      boolean hasOrg = in.get() == 1;
      UUID org = uuid(in);
      AuditRecord.Outcome outcome = outcome(in.get());
      int parameterCount = in.getInt();
      long rowCount = in.getLong();
      boolean truncated = in.get() == 1;
      long elapsedMicros = in.getLong();
      String action = present(text(in));
      String principal = text(in);
      String remoteAddress = text(in);
      String requestId = text(in);
      String node = present(text(in));
      return Optional.of(
          new AuditRecord(
              id,
              at,
              hasOrg ? new OrgId(org) : null,
              action,
              outcome,
              principal,
              remoteAddress,
              requestId,
              node,
              text(in),
              text(in),
              text(in),
              text(in),
              text(in),
              text(in),
              parameterCount,
              rowCount,
              truncated,
              elapsedMicros,
              text(in)));
    } catch (BufferUnderflowException | IndexOutOfBoundsException | DateTimeException e) {
      return Optional.empty();
    }
  }

  private static byte code(AuditRecord.Outcome outcome) {
    return switch (outcome) {
      case OK -> 0;
      case REFUSED -> 1;
      case FAILED -> 2;
      case CANCELLED -> 3;
      case UNKNOWN -> 4;
    };
  }

  private static AuditRecord.Outcome outcome(byte code) {
    return switch (code) {
      case 0 -> AuditRecord.Outcome.OK;
      case 1 -> AuditRecord.Outcome.REFUSED;
      case 2 -> AuditRecord.Outcome.FAILED;
      case 3 -> AuditRecord.Outcome.CANCELLED;
      default -> AuditRecord.Outcome.UNKNOWN;
    };
  }

  private static String present(@Nullable String text) {
    return text == null ? "" : text;
  }

  private static int checksum(byte[] bytes, int offset, int length) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, offset, length);
    return (int) crc.getValue();
  }

  private static void uuid(UUID uuid, ByteBuffer out) {
    out.putLong(uuid.getMostSignificantBits()).putLong(uuid.getLeastSignificantBits());
  }

  private static UUID uuid(ByteBuffer in) {
    return new UUID(in.getLong(), in.getLong());
  }

  // PostgreSQL's text holds no NUL; unpaired surrogates become '?' on the way to UTF-8.
  private static void text(@Nullable String text, ByteBuffer out) {
    if (text == null) {
      out.putShort((short) -1);
      return;
    }
    String cut = text.length() > MAX_TEXT ? text.substring(0, MAX_TEXT) : text;
    byte[] bytes = (cut.indexOf('\0') < 0 ? cut : cut.replace('\0', '\uFFFD')).getBytes(UTF_8);
    out.putShort((short) bytes.length).put(bytes);
  }

  private static @Nullable String text(ByteBuffer in) {
    short length = in.getShort();
    if (length < 0) {
      return null;
    }
    byte[] bytes = new byte[length];
    in.get(bytes);
    return new String(bytes, UTF_8);
  }
}
