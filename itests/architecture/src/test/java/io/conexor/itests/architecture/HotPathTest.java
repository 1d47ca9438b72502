package io.conexor.itests.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.itests.architecture.bad.BadHabits;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;

/** What runs for every row or every call takes no lock, waits for nobody and looks nothing up. */
class HotPathTest {

  private static final Set<String> WAITS =
      Set.of(
          "java/lang/Object.wait",
          "java/lang/Thread.join",
          "java/lang/Thread.sleep",
          "java/util/concurrent/Future.get",
          "java/util/concurrent/CompletableFuture.get",
          "java/util/concurrent/CompletableFuture.join",
          "java/util/concurrent/CountDownLatch.await",
          "java/util/concurrent/BlockingQueue.put",
          "java/util/concurrent/BlockingQueue.take",
          "java/util/concurrent/Semaphore.acquire",
          "java/util/concurrent/locks/Lock.lock",
          "java/util/concurrent/locks/ReentrantLock.lock",
          "java/util/concurrent/locks/Condition.await",
          "java/util/concurrent/locks/LockSupport.park",
          "java/util/concurrent/locks/LockSupport.parkNanos");

  @Test
  void bytes_become_messages_without_waiting() throws IOException {
    assertThat(stops(classes("bundles/protocol", "io/conexor/protocol"))).isEmpty();
  }

  @Test
  void a_call_finds_its_agent_without_waiting() throws IOException {
    List<Path> classes = classes("bundles/dispatch", "io/conexor/dispatch");
    // Asks an agent for its schema, once in minutes.
    classes.removeIf(c -> c.getFileName().toString().startsWith("SchemaSink"));

    assertThat(stops(classes)).isEmpty();
  }

  @Test
  void a_message_leaves_for_its_link_without_waiting() throws IOException {
    assertThat(stops(classes("bundles/hub", "io/conexor/hub"))).isEmpty();
  }

  @Test
  void what_waits_is_found() throws IOException {
    String name = BadHabits.class.getName().replace('.', '/') + ".class";
    try (InputStream bytes = BadHabits.class.getClassLoader().getResourceAsStream(name)) {
      List<String> found = new ArrayList<>();
      look(new ClassReader(bytes), found);

      assertThat(found).anyMatch(f -> f.contains("lock")).anyMatch(f -> f.contains("reflect"));
    }
  }

  private static List<String> stops(List<Path> classes) throws IOException {
    List<String> found = new ArrayList<>();
    for (Path file : classes) {
      look(new ClassReader(Files.readAllBytes(file)), found);
    }
    // What comes and goes with a bundle, not with a call.
    found.removeIf(f -> f.matches(".*\\.(un)?listen .*|.*\\.(attach|detach|close) .*"));
    return found;
  }

  private static void look(ClassReader type, List<String> found) {
    type.accept(
        new ClassVisitor(Opcodes.ASM9) {
          @Override
          public MethodVisitor visitMethod(
              int access, String name, String descriptor, String signature, String[] exceptions) {
            String where = type.getClassName() + "." + name;
            if ((access & Opcodes.ACC_SYNCHRONIZED) != 0) {
              found.add(where + " takes a lock");
            }
            return new Instructions(where, found);
          }
        },
        ClassReader.SKIP_DEBUG);
  }

  private static List<Path> classes(String bundle, String packages) throws IOException {
    try (Stream<Path> files =
        Files.walk(Tree.ROOT.resolve(bundle).resolve("target/classes").resolve(packages))) {
      List<Path> classes =
          new ArrayList<>(files.filter(f -> f.toString().endsWith(".class")).toList());
      assertThat(classes).isNotEmpty();
      return classes;
    }
  }

  private static final class Instructions extends MethodVisitor {

    private final String where;
    private final List<String> found;

    Instructions(String where, List<String> found) {
      super(Opcodes.ASM9);
      this.where = where;
      this.found = found;
    }

    @Override
    public void visitInsn(int opcode) {
      if (opcode == Opcodes.MONITORENTER) {
        found.add(where + " takes a lock");
      }
    }

    @Override
    public void visitMethodInsn(
        int opcode, String owner, String name, String descriptor, boolean isInterface) {
      if (WAITS.contains(owner + "." + name)) {
        found.add(where + " waits in " + owner + "." + name);
      }
      if (owner.startsWith("java/lang/reflect/") || owner.startsWith("java/util/regex/")) {
        found.add(where + " uses " + owner + "." + name);
      }
    }
  }
}
