package io.conexor.shell;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.Proxy;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.apache.felix.service.command.CommandProcessor;
import org.apache.felix.service.command.CommandSession;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DoorTest {

  @TempDir Path directory;
  private Door door;

  @BeforeEach
  void open() throws IOException {
    door = new Door(echo(), directory);
  }

  @AfterEach
  void close() {
    door.close();
  }

  @Test
  void file_with_the_token_is_its_owners_alone() throws IOException {
    assertThat(
            PosixFilePermissions.toString(
                Files.getPosixFilePermissions(directory.resolve("shell"))))
        .isEqualTo("rw-------");
  }

  @Test
  void command_is_answered_with_its_output_and_exit_code() throws IOException {
    assertThat(ask(token() + "\nrun hello\n")).isEqualTo("hello\n\0000");
  }

  @Test
  void failed_command_says_why_and_ends_with_one() throws IOException {
    assertThat(ask(token() + "\nrun fail\n")).isEqualTo("it failed\n\0001");
  }

  @Test
  void wrong_token_gets_no_answer() throws IOException {
    assertThat(ask("0000\nrun hello\n")).isEmpty();
  }

  @Test
  void session_goes_on_until_exit() throws IOException {
    assertThat(ask(token() + "\nopen\nhello\nexit\n")).contains("conexor> hello\n");
  }

  @Test
  void closed_door_leaves_no_file() {
    door.close();

    assertThat(directory.resolve("shell")).doesNotExist();
  }

  private String token() throws IOException {
    return Files.readString(directory.resolve("shell")).trim().split(" ")[1];
  }

  private String ask(String text) throws IOException {
    int port = Integer.parseInt(Files.readString(directory.resolve("shell")).trim().split(" ")[0]);
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
      socket.setSoTimeout(10_000);
      socket.getOutputStream().write(text.getBytes(StandardCharsets.UTF_8));
      return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    } catch (java.net.SocketException e) {
      // Refused with input unread, the connection ends by a reset.
      return "";
    }
  }

  /** A Gogo whose every command answers with its own text, but for {@code fail}. */
  private static CommandProcessor echo() {
    CommandSession session =
        (CommandSession)
            Proxy.newProxyInstance(
                DoorTest.class.getClassLoader(),
                new Class<?>[] {CommandSession.class},
                (proxy, method, args) -> {
                  if (method.getName().equals("execute") && args[0].equals("fail")) {
                    throw new IllegalStateException("it failed");
                  }
                  return args == null ? null : args[0];
                });
    return (CommandProcessor)
        Proxy.newProxyInstance(
            DoorTest.class.getClassLoader(),
            new Class<?>[] {CommandProcessor.class},
            (proxy, method, args) -> session);
  }
}
