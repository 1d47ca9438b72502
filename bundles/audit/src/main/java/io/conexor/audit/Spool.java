package io.conexor.audit;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Frames in numbered, append-only files, written by one thread and read by another.
 *
 * <p>{@code NNNNNNNNNNNNNNNN.spool} holds frames; {@code position} says how far they have been
 * delivered; {@code lock} keeps a second process out. Each run begins a file of its own, so that a
 * frame torn by a kill is always the last one of a file nobody appends to.
 */
final class Spool implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Spool.class);

  private static final String SUFFIX = ".spool";
  private static final int READ_BYTES = 1 << 20;

  /** A place between two frames. */
  record Position(long file, long offset) {}

  private final Path folder;
  private final long fileBytes;
  private final FileChannel lockFile;
  private final FileLock lock;

  /** Bytes of whole frames by file; the writer grows the last entry, the reader removes files. */
  private final ConcurrentSkipListMap<Long, Long> sizes = new ConcurrentSkipListMap<>();

  /** Only for the writer. */
  private @Nullable FileChannel out;

  /** Only for the writer. */
  private boolean isDirty;

  /** Written by the reader. */
  private volatile Position delivered;

  Spool(Path folder, long fileBytes) throws IOException {
    this.folder = folder;
    this.fileBytes = fileBytes;
    Files.createDirectories(folder);
    this.lockFile =
        FileChannel.open(
            folder.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    try {
      this.lock = lock(lockFile, folder);
      Map<Long, Long> found = new TreeMap<>();
      try (Stream<Path> files = Files.list(folder)) {
        for (Path file : files.filter(f -> f.toString().endsWith(SUFFIX)).toList()) {
          String name = String.valueOf(file.getFileName());
          found.put(
              Long.parseLong(name.substring(0, name.length() - SUFFIX.length()), 16),
              Files.size(file));
        }
      }
      sizes.putAll(found);
      this.delivered = readPosition();
    } catch (IOException | RuntimeException e) {
      lockFile.close();
      throw e;
    }
  }

  private static FileLock lock(FileChannel file, Path folder) throws IOException {
    try {
      FileLock lock = file.tryLock();
      if (lock != null) {
        return lock;
      }
    } catch (OverlappingFileLockException e) {
      throw new IOException("the audit spool " + folder + " is in use by this process", e);
    }
    throw new IOException("the audit spool " + folder + " is in use by another process");
  }

  /** Appends whole frames. After an exception none of them counts. The writer's. */
  void append(ByteBuffer frames) throws IOException {
    FileChannel channel = out;
    if (channel == null || sizes.lastEntry().getValue() >= fileBytes) {
      channel = begin();
    }
    long file = sizes.lastKey();
    long before = sizes.lastEntry().getValue();
    try {
      long at = before;
      while (frames.hasRemaining()) {
        at += channel.write(frames, at);
      }
      sizes.put(file, at);
      isDirty = true;
    } catch (IOException e) {
      // What was written of them is overwritten by the next attempt, or cut off here.
      try {
        channel.truncate(before);
      } catch (IOException alsoFailed) {
        e.addSuppressed(alsoFailed);
      }
      throw e;
    }
  }

  private FileChannel begin() throws IOException {
    sync();
    long file = Math.max(sizes.isEmpty() ? 0 : sizes.lastKey(), delivered.file()) + 1;
    FileChannel channel =
        FileChannel.open(path(file), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    FileChannel before = out;
    out = channel;
    sizes.put(file, 0L);
    if (before != null) {
      before.close();
    }
    return channel;
  }

  /** Makes what was appended survive the machine. The writer's. */
  void sync() throws IOException {
    FileChannel channel = out;
    if (channel != null && isDirty) {
      channel.force(false);
      isDirty = false;
    }
  }

  /** Bytes on disk that have not been delivered. */
  long pendingBytes() {
    long pending = 0;
    Position from = delivered;
    for (Map.Entry<Long, Long> file : sizes.tailMap(from.file(), true).entrySet()) {
      pending += file.getValue() - (file.getKey() == from.file() ? from.offset() : 0);
    }
    return pending;
  }

  /** Frames read, and the position after them. */
  record Batch(List<io.conexor.api.audit.AuditRecord> records, Position end) {}

  /** The next undelivered records, at most so many; empty when there are none. The reader's. */
  Batch read(int max) throws IOException {
    List<io.conexor.api.audit.AuditRecord> records = new ArrayList<>();
    Position at = delivered;
    while (records.size() < max) {
      Map.Entry<Long, Long> file = sizes.ceilingEntry(at.file());
      if (file == null) {
        break;
      }
      if (file.getKey() != at.file()) {
        at = new Position(file.getKey(), 0);
      }
      boolean isLast = sizes.higherKey(at.file()) == null;
      // Read anew: the writer may have gone on and begun another file in between.
      long size = sizes.getOrDefault(at.file(), file.getValue());
      if (at.offset() >= size) {
        if (isLast) {
          break;
        }
        at = new Position(sizes.higherKey(at.file()), 0);
        continue;
      }
      at = read(at, size, max, records);
    }
    return new Batch(records, at);
  }

  private Position read(
      Position from, long size, int max, List<io.conexor.api.audit.AuditRecord> records)
      throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate((int) Math.min(READ_BYTES, size - from.offset()));
    try (FileChannel in = FileChannel.open(path(from.file()), StandardOpenOption.READ)) {
      while (bytes.hasRemaining() && in.read(bytes, from.offset() + bytes.position()) >= 0) {}
    } catch (NoSuchFileException e) {
      log.error("audit spool {} has vanished; its records are lost", path(from.file()));
      return new Position(from.file(), size);
    }
    bytes.flip();
    boolean isWholeRest = bytes.limit() == size - from.offset();
    int at = 0;
    int damaged = 0;
    while (at < bytes.limit() && records.size() < max) {
      Frames.Decoded frame = Frames.decode(bytes, at);
      if (frame instanceof Frames.Decoded.Whole whole) {
        records.add(whole.record());
        at = whole.end();
      } else if (frame instanceof Frames.Decoded.Partial && !isWholeRest && at > 0) {
        break; // the next read begins with it
      } else {
        damaged++;
        at++;
      }
    }
    if (damaged > 0) {
      log.warn(
          "audit spool {}: skipped {} bytes that are no whole record (torn by a kill, or damaged)",
          path(from.file()),
          damaged);
    }
    return new Position(from.file(), from.offset() + at);
  }

  /** Remembers what was delivered and deletes files that are no longer needed. The reader's. */
  void delivered(Position position) throws IOException {
    Path fresh = folder.resolve("position.new");
    Files.writeString(
        fresh, position.file() + " " + position.offset() + "\n", StandardCharsets.US_ASCII);
    Files.move(
        fresh,
        folder.resolve("position"),
        StandardCopyOption.REPLACE_EXISTING,
        StandardCopyOption.ATOMIC_MOVE);
    delivered = position;
    for (long file : List.copyOf(sizes.headMap(position.file()).keySet())) {
      Files.deleteIfExists(path(file));
      sizes.remove(file);
    }
  }

  private Position readPosition() throws IOException {
    Path file = folder.resolve("position");
    if (!Files.exists(file)) {
      return new Position(0, 0);
    }
    String text = Files.readString(file, StandardCharsets.US_ASCII).strip();
    String[] words = text.split(" ");
    try {
      return new Position(Long.parseLong(words[0]), Long.parseLong(words[1]));
    } catch (NumberFormatException | ArrayIndexOutOfBoundsException e) {
      // Delivering from the start is safe: records that are there already are not stored again.
      log.warn("audit spool position '{}' is unreadable; delivering from the start", text);
      return new Position(0, 0);
    }
  }

  private Path path(long file) {
    return folder.resolve(String.format("%016x%s", file, SUFFIX));
  }

  @Override
  public void close() throws IOException {
    try {
      sync();
      FileChannel writing = out;
      if (writing != null) {
        writing.close();
      }
    } finally {
      lock.release();
      lockFile.close();
    }
  }
}
