package io.conexor.database.embedded;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;

/** Unpacks the files, folders and links of a tar stream (POSIX ustar and GNU long names). */
final class Tar {

  private static final int BLOCK = 512;

  private Tar() {}

  static void unpack(InputStream in, Path target) throws IOException {
    byte[] header = new byte[BLOCK];
    String longName = "";
    String longLink = "";
    while (readBlock(in, header) && header[0] != 0) {
      long size = octal(header, 124, 12);
      char type = (char) header[156];
      if (type == 'L' || type == 'K') {
        String text = text(in.readNBytes(Math.toIntExact(size)), 0, Math.toIntExact(size));
        skipPadding(in, size);
        if (type == 'L') {
          longName = text;
        } else {
          longLink = text;
        }
        continue;
      }
      String prefix = text(header, 345, 155);
      String shortName = text(header, 0, 100);
      String name =
          !longName.isEmpty() ? longName : prefix.isEmpty() ? shortName : prefix + "/" + shortName;
      String link = !longLink.isEmpty() ? longLink : text(header, 157, 100);
      longName = "";
      longLink = "";
      Path path = target.resolve(name).normalize();
      if (!path.startsWith(target)) {
        throw new IOException("archive entry '" + name + "' leaves the target folder");
      }
      switch (type) {
        case '5' -> Files.createDirectories(path);
        case '2' -> {
          Files.createDirectories(parent(path));
          Files.createSymbolicLink(path, Path.of(link));
        }
        case '0', '\0' -> {
          Files.createDirectories(parent(path));
          try (var out = Files.newOutputStream(path)) {
            copy(in, out, size);
          }
          skipPadding(in, size);
          boolean executable = (octal(header, 100, 8) & 0111) != 0;
          Files.setPosixFilePermissions(
              path, PosixFilePermissions.fromString(executable ? "rwxr-xr-x" : "rw-r--r--"));
        }
        default -> {
          in.skipNBytes(size);
          skipPadding(in, size);
        }
      }
    }
  }

  private static Path parent(Path path) throws IOException {
    Path parent = path.getParent();
    if (parent == null) {
      throw new IOException("archive entry without a folder: " + path);
    }
    return parent;
  }

  private static void copy(InputStream in, java.io.OutputStream out, long size) throws IOException {
    byte[] buffer = new byte[1 << 16];
    for (long left = size; left > 0; ) {
      int read = in.read(buffer, 0, (int) Math.min(buffer.length, left));
      if (read < 0) {
        throw new EOFException("the archive ends inside a file");
      }
      out.write(buffer, 0, read);
      left -= read;
    }
  }

  private static boolean readBlock(InputStream in, byte[] block) throws IOException {
    return in.readNBytes(block, 0, BLOCK) == BLOCK;
  }

  private static void skipPadding(InputStream in, long size) throws IOException {
    in.skipNBytes((BLOCK - size % BLOCK) % BLOCK);
  }

  private static long octal(byte[] header, int from, int length) {
    String digits = text(header, from, length).strip();
    return digits.isEmpty() ? 0 : Long.parseLong(digits, 8);
  }

  private static String text(byte[] bytes, int from, int length) {
    int end = from;
    while (end < from + length && bytes[end] != 0) {
      end++;
    }
    return new String(bytes, from, end - from, StandardCharsets.UTF_8);
  }
}
