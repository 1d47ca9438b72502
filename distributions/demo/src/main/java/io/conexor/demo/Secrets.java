package io.conexor.demo;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** What the server shows once, and the administrator's password: kept for the next run. */
final class Secrets {

  private final Path file;
  private final Map<String, String> values = new TreeMap<>();

  Secrets(Path file) throws IOException {
    this.file = file;
    if (Files.exists(file)) {
      Http.JSON
          .readTree(Files.readString(file))
          .properties()
          .forEach(each -> values.put(each.getKey(), each.getValue().asString()));
    }
  }

  Optional<String> get(String name) {
    return Optional.ofNullable(values.get(name));
  }

  String put(String name, String value) throws IOException {
    values.put(name, value);
    writeJson(file, values);
    return value;
  }

  static String random() {
    byte[] bytes = new byte[15];
    new SecureRandom().nextBytes(bytes);
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }

  static void writeJson(Path file, Object content) throws IOException {
    write(file, Http.JSON.writerWithDefaultPrettyPrinter().writeValueAsString(content) + "\n");
  }

  /** Writes what only the owner may read, in one step. */
  static void write(Path file, String text) throws IOException {
    Path half = file.resolveSibling(file.getFileName() + ".new");
    Files.deleteIfExists(half);
    Files.createFile(
        half, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    Files.writeString(half, text);
    Files.move(half, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }
}
