package io.conexor.database.embedded;

import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.UserPrincipal;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * How PostgreSQL's programs are started, which refuse to run as root.
 *
 * <p>A server that is not root runs them as itself. As root they are given to an unprivileged user
 * with {@code setpriv}, which replaces itself by the program and involves no PAM, else with {@code
 * runuser}. Where that user can't reach the data folder (one below {@code /root}, say) they run in
 * a user namespace of their own ({@code unshare}): without any capability, but still with root's
 * access to root's files, which is why it comes last.
 *
 * @param prefix words in front of the program
 * @param longLived the same for the postmaster: it is in a session of its own, so that Ctrl-C in
 *     the server's terminal lets the server drain before its database stops, and it gets SIGINT
 *     from the kernel when the thread that started it ends; each where util-linux is installed
 * @param owner whom the data folder must belong to; null = whoever created it
 * @param description for people
 */
record RunAs(
    List<String> prefix,
    List<String> longLived,
    @Nullable UserPrincipal owner,
    String description) {

  private static final List<String> USUAL_USERS = List.of("conexor", "postgres", "nobody");

  static RunAs choose(Path folder, String configuredUser) throws IOException, InterruptedException {
    Optional<Path> setpriv = setpriv();
    List<String> ownSession =
        Commands.find("setsid").map(program -> List.of(program.toString())).orElse(List.of());
    List<String> untilWeDie =
        setpriv
            .map(program -> List.of(program.toString(), "--pdeathsig", "INT", "--"))
            .orElse(List.of());
    if (!isRoot()) {
      return new RunAs(
          List.of(), words(ownSession, untilWeDie), null, System.getProperty("user.name"));
    }
    Account account = account(configuredUser);
    if (account != null && isReachable(folder, account.principal())) {
      if (setpriv.isPresent()) {
        String program = setpriv.get().toString();
        List<String> drop =
            List.of("--reuid", account.name(), "--regid", account.gid(), "--init-groups");
        List<String> caps = List.of("--inh-caps=-all", "--no-new-privs");
        return new RunAs(
            words(List.of(program), drop, caps, List.of("--")),
            words(ownSession, List.of(program), drop, caps, List.of("--pdeathsig", "INT", "--")),
            account.principal(),
            account.name() + " by setpriv");
      }
      Optional<Path> runuser = Commands.find("runuser");
      if (runuser.isPresent()) {
        List<String> prefix = List.of(runuser.get().toString(), "-u", account.name(), "--");
        return new RunAs(
            prefix, words(ownSession, prefix), account.principal(), account.name() + " by runuser");
      }
    }
    Optional<Path> unshare = Commands.find("unshare");
    if (unshare.isPresent() && works(unshare.get())) {
      List<String> prefix = List.of(unshare.get().toString(), "--user", "--");
      return new RunAs(
          prefix,
          words(ownSession, prefix, untilWeDie),
          folder.getFileSystem().getUserPrincipalLookupService().lookupPrincipalByName("root"),
          "nobody in a user namespace by unshare");
    }
    throw new IOException(
        "PostgreSQL refuses to run as root, and there is no way to run it as somebody else: "
            + (account == null
                ? "none of the users conexor, postgres, nobody exists"
                : "user " + account.name() + " can't reach " + folder)
            + ", and user namespaces are not allowed here. Set database.embedded.data.dir to a folder whose parents"
            + " everybody may enter, or start the server as another user");
  }

  /** Makes the unprivileged user the owner of a folder and all in it, where that is needed. */
  void own(Path folder) throws IOException {
    UserPrincipal user = owner;
    if (user == null || !Files.exists(folder) || Files.getOwner(folder).equals(user)) {
      return;
    }
    Files.walkFileTree(
        folder,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            if (!attributes.isSymbolicLink()) {
              Files.setOwner(file, user);
            }
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path left, @Nullable IOException failure)
              throws IOException {
            // INVARIANT: the top folder changes last, so an interrupted walk is begun again
            Files.setOwner(left, user);
            return FileVisitResult.CONTINUE;
          }
        });
  }

  static boolean isRoot() {
    try {
      return Integer.valueOf(0).equals(Files.getAttribute(Path.of("/proc/self"), "unix:uid"));
    } catch (IOException | UnsupportedOperationException noProc) {
      return "root".equals(System.getProperty("user.name"));
    }
  }

  private record Account(String name, String gid, UserPrincipal principal) {}

  private static @Nullable Account account(String configured) throws IOException {
    List<String> candidates = configured.isEmpty() ? USUAL_USERS : List.of(configured);
    Path passwd = Path.of("/etc/passwd");
    List<String> lines = Files.isReadable(passwd) ? Files.readAllLines(passwd) : List.of();
    for (String candidate : candidates) {
      for (String line : lines) {
        String[] fields = line.split(":");
        if (fields.length > 3 && fields[0].equals(candidate) && !fields[2].equals("0")) {
          return new Account(
              candidate,
              fields[3],
              passwd
                  .getFileSystem()
                  .getUserPrincipalLookupService()
                  .lookupPrincipalByName(candidate));
        }
      }
    }
    if (!configured.isEmpty()) {
      throw new IOException(
          EmbeddedPostgres.PID
              + ": user="
              + configured
              + " is no unprivileged user in /etc/passwd; leave it empty to have one chosen");
    }
    return null;
  }

  private static boolean isReachable(Path folder, UserPrincipal user) throws IOException {
    for (Path at = folder.toRealPath(); at != null; at = at.getParent()) {
      PosixFileAttributes attributes =
          Files.readAttributes(at, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      Set<PosixFilePermission> permissions = attributes.permissions();
      boolean own =
          attributes.owner().equals(user)
              && permissions.contains(PosixFilePermission.OWNER_EXECUTE);
      if (!own && !permissions.contains(PosixFilePermission.OTHERS_EXECUTE)) {
        return false;
      }
    }
    return true;
  }

  /** The one of util-linux; BusyBox has another of the same name that can do nothing of this. */
  private static Optional<Path> setpriv() throws InterruptedException {
    Optional<Path> program = Commands.find("setpriv");
    if (program.isEmpty()) {
      return program;
    }
    try {
      String help = Commands.run(List.of(program.get().toString(), "--help"), "");
      return help.contains("--pdeathsig") && help.contains("--reuid") ? program : Optional.empty();
    } catch (IOException unusable) {
      return Optional.empty();
    }
  }

  private static boolean works(Path unshare) throws InterruptedException {
    try {
      Commands.run(List.of(unshare.toString(), "--user", "--", "/bin/sh", "-c", "exit 0"), "");
      return true;
    } catch (IOException forbidden) {
      return false;
    }
  }

  @SafeVarargs
  private static List<String> words(List<String>... parts) {
    List<String> all = new ArrayList<>();
    for (List<String> part : parts) {
      all.addAll(part);
    }
    return List.copyOf(all);
  }
}
