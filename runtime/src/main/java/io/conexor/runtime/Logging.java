package io.conexor.runtime;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.encoder.JsonEncoder;
import ch.qos.logback.classic.encoder.PatternLayoutEncoder;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.OutputStreamAppender;
import ch.qos.logback.core.encoder.Encoder;
import ch.qos.logback.core.rolling.RollingFileAppender;
import ch.qos.logback.core.rolling.SizeAndTimeBasedRollingPolicy;
import ch.qos.logback.core.util.FileSize;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.bridge.SLF4JBridgeHandler;

/**
 * Sets Logback up from the launcher's settings; there is no logging file to keep in step with them.
 */
final class Logging {

  // The keys are the ones every component puts into the MDC, so that a line says whom it is about
  // first.
  private static final String PATTERN =
      "%d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %-5level %-28.28logger{28} %X{node} %X{session} %X{agent} %X{request} %msg%n";

  private Logging() {}

  /** Warnings to the console: for commands whose output is their answer. */
  static void quiet() {
    LoggerContext context = (LoggerContext) LoggerFactory.getILoggerFactory();
    context.getLogger(Logger.ROOT_LOGGER_NAME).setLevel(Level.WARN);
  }

  static void configure(RuntimeSettings settings) {
    LoggerContext context = (LoggerContext) LoggerFactory.getILoggerFactory();
    context.reset();
    ch.qos.logback.classic.Logger root = context.getLogger(Logger.ROOT_LOGGER_NAME);
    root.setLevel(Level.valueOf(settings.logLevel()));
    // Both announce every bundle they look at; runtime.log.levels can bring that back.
    context.getLogger(FrameworkLog.UNNAMED).setLevel(Level.WARN);
    context.getLogger("org.apache.aries.spifly").setLevel(Level.WARN);
    context.getLogger("org.flywaydb").setLevel(Level.WARN);
    // One error per dead connection, some with keys in them; the health check of Redis names the
    // cause once.
    context.getLogger("org.redisson").setLevel(Level.OFF);
    for (String assignment : settings.logLevels()) {
      String[] parts = assignment.split("=", 2);
      Level level = parts.length == 2 ? Level.toLevel(parts[1].trim(), null) : null;
      if (level == null) {
        throw new LaunchException(
            "runtime.log.levels: '"
                + assignment
                + "' is not of the form logger=LEVEL (ERROR, WARN, INFO, DEBUG, TRACE)");
      }
      context.getLogger(parts[0].trim()).setLevel(level);
    }
    if (settings.logTo() != RuntimeSettings.LogTo.FILE) {
      root.addAppender(console(context, settings));
    }
    if (settings.logTo() != RuntimeSettings.LogTo.CONSOLE) {
      root.addAppender(file(context, settings));
    }
    // Third-party code that logs through java.util.logging: SPI Fly, JDBC drivers.
    SLF4JBridgeHandler.removeHandlersForRootLogger();
    SLF4JBridgeHandler.install();
  }

  /**
   * Standard output itself: System.out belongs to Gogo, which sends what is written to it by a
   * thread of a shell session, or by one that it started, to that session.
   */
  private static OutputStreamAppender<ILoggingEvent> console(
      LoggerContext context, RuntimeSettings settings) {
    OutputStreamAppender<ILoggingEvent> appender = new OutputStreamAppender<>();
    appender.setContext(context);
    appender.setEncoder(encoder(context, settings.jsonLog()));
    appender.setOutputStream(new FileOutputStream(FileDescriptor.out));
    appender.start();
    return appender;
  }

  private static OutputStreamAppender<ILoggingEvent> file(
      LoggerContext context, RuntimeSettings settings) {
    Path directory = settings.logDirectory();
    RollingFileAppender<ILoggingEvent> appender = new RollingFileAppender<>();
    appender.setContext(context);
    appender.setFile(directory.resolve("conexor.log").toString());
    SizeAndTimeBasedRollingPolicy<ILoggingEvent> policy = new SizeAndTimeBasedRollingPolicy<>();
    policy.setContext(context);
    policy.setParent(appender);
    policy.setFileNamePattern(directory.resolve("conexor.%d.%i.log.gz").toString());
    policy.setMaxFileSize(FileSize.valueOf("100MB"));
    policy.setTotalSizeCap(FileSize.valueOf("2GB"));
    policy.setMaxHistory(settings.logKeepDays());
    policy.start();
    appender.setRollingPolicy(policy);
    return started(appender, context, settings);
  }

  private static OutputStreamAppender<ILoggingEvent> started(
      OutputStreamAppender<ILoggingEvent> appender,
      LoggerContext context,
      RuntimeSettings settings) {
    appender.setContext(context);
    appender.setEncoder(encoder(context, settings.jsonLog()));
    appender.start();
    return appender;
  }

  private static Encoder<ILoggingEvent> encoder(LoggerContext context, boolean json) {
    if (json) {
      JsonEncoder encoder = new JsonEncoder();
      encoder.setContext(context);
      // The interpolated message is what people search for; template and arguments would only
      // repeat it,
      // and arguments are where a secret would slip through.
      encoder.setWithFormattedMessage(true);
      encoder.setWithMessage(false);
      encoder.setWithArguments(false);
      encoder.setWithContext(false);
      encoder.setWithSequenceNumber(false);
      encoder.setWithNanoseconds(false);
      encoder.start();
      return encoder;
    }
    PatternLayoutEncoder encoder = new PatternLayoutEncoder();
    encoder.setContext(context);
    encoder.setCharset(StandardCharsets.UTF_8);
    encoder.setPattern(PATTERN);
    encoder.start();
    return encoder;
  }
}
