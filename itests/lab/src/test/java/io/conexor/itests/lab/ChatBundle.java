package io.conexor.itests.lab;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.jar.Attributes;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A bundle with nothing but {@link ChatHub}. */
final class ChatBundle {

  private ChatBundle() {}

  /** Puts the bundle into a running backend through its shell. */
  static void install(Backend backend) {
    try {
      Path jar = Files.createTempFile("conexor-lab-chat-", ".jar");
      write(jar);
      String answer = backend.shell("felix:install " + jar.toUri());
      Matcher id = Pattern.compile("(\\d+)\\s*$").matcher(answer.strip());
      if (!id.find()) {
        throw new IllegalStateException(answer);
      }
      backend.shell("felix:start " + id.group(1));
      Files.delete(jar);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void write(Path jar) throws IOException {
    Manifest manifest = new Manifest();
    Attributes main = manifest.getMainAttributes();
    main.put(Attributes.Name.MANIFEST_VERSION, "1.0");
    main.putValue("Bundle-ManifestVersion", "2");
    main.putValue("Bundle-SymbolicName", "io.conexor.itests.lab.chat");
    main.putValue("Import-Package", "io.conexor.api.access,io.conexor.api.hub");
    main.putValue("Service-Component", "OSGI-INF/chat.xml");
    String own = ChatHub.class.getName();
    String path = own.replace('.', '/') + ".class";
    try (OutputStream file = Files.newOutputStream(jar);
        JarOutputStream out = new JarOutputStream(file, manifest);
        InputStream bytes = ChatHub.class.getClassLoader().getResourceAsStream(path)) {
      out.putNextEntry(new JarEntry("OSGI-INF/chat.xml"));
      out.write(
          """
          <scr:component xmlns:scr="http://www.osgi.org/xmlns/scr/v1.4.0" name="chat">
            <service><provide interface="io.conexor.api.hub.Hub"/></service>
            <implementation class="%s"/>
          </scr:component>
          """
              .formatted(own)
              .getBytes(StandardCharsets.UTF_8));
      out.putNextEntry(new JarEntry(path));
      bytes.transferTo(out);
    }
  }
}
