package io.conexor.runtime;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import org.apache.felix.framework.Logger;
import org.jspecify.annotations.Nullable;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.FrameworkEvent;
import org.osgi.framework.ServiceReference;
import org.osgi.service.log.FormatterLogger;
import org.osgi.service.log.LogLevel;
import org.osgi.service.log.LogService;
import org.osgi.service.log.LoggerConsumer;
import org.osgi.service.log.LoggerFactory;
import org.slf4j.event.Level;

/**
 * Everything the framework and its services say, sent to SLF4J.
 *
 * <p>DS reports a component that failed to activate to the OSGi Log Service and nowhere else:
 * without one the bundle is ACTIVE, nothing works and nobody is told. So the launcher provides that
 * service itself, before the first bundle starts, and nothing said early is lost.
 */
final class FrameworkLog extends Logger {

  /** The logger of what is said without a name of its own, which DS does. */
  static final String UNNAMED = "osgi";

  private static final org.slf4j.Logger log =
      org.slf4j.LoggerFactory.getLogger("org.apache.felix.framework");

  /** Registers the Log Service and listens to framework events. */
  static void bridge(BundleContext context) {
    LogService service = service();
    context.registerService(
        new String[] {LogService.class.getName(), LoggerFactory.class.getName()}, service, null);
    context.addFrameworkListener(FrameworkLog::onEvent);
  }

  private static void onEvent(FrameworkEvent event) {
    String about = String.valueOf(event.getBundle());
    switch (event.getType()) {
      case FrameworkEvent.ERROR -> log.error("{}", about, event.getThrowable());
      case FrameworkEvent.WARNING -> log.warn("{}", about, event.getThrowable());
      default -> log.debug("event {} of {}", event.getType(), about);
    }
  }

  @Override
  @SuppressWarnings("rawtypes") // the overridden method is from before generics
  protected void doLog(
      @Nullable Bundle bundle,
      @Nullable ServiceReference reference,
      int level,
      String message,
      @Nullable Throwable cause) {
    String about = bundle == null ? "" : bundle.getSymbolicName() + ": ";
    log.atLevel(level(level)).setCause(cause).log("{}{}", about, message);
  }

  private static Level level(int felix) {
    return switch (felix) {
      case Logger.LOG_ERROR -> Level.ERROR;
      case Logger.LOG_WARNING -> Level.WARN;
      case Logger.LOG_INFO -> Level.INFO;
      default -> Level.DEBUG;
    };
  }

  /**
   * The interfaces have some forty methods of one pattern each, hence proxies instead of classes.
   */
  static LogService service() {
    InvocationHandler handler =
        (proxy, method, args) -> {
          Object[] a = args == null ? new Object[0] : args;
          return switch (method.getName()) {
            case "getLogger" -> {
              Class<?> type =
                  a.length > 1 ? (Class<?>) a[a.length - 1] : org.osgi.service.log.Logger.class;
              Object name = a.length == 3 ? a[1] : a[0];
              String text = name instanceof Class<?> c ? c.getName() : String.valueOf(name);
              yield logger(
                  text.equals(org.osgi.service.log.Logger.ROOT_LOGGER_NAME) ? UNNAMED : text, type);
            }
            case "log" -> {
              legacy(a);
              yield null;
            }
            default -> ofObject(proxy, method.getName(), a);
          };
        };
    return (LogService) proxy(LogService.class, handler);
  }

  /** {@code LogService.log([ServiceReference,] int level, String message [, Throwable])}. */
  private static void legacy(Object[] args) {
    int at = args[0] instanceof Integer ? 0 : 1;
    @Nullable Throwable cause = args.length > at + 2 ? (Throwable) args[at + 2] : null;
    log.atLevel(level((Integer) args[at])).setCause(cause).log("{}", args[at + 1]);
  }

  private static Object logger(String name, Class<?> type) {
    org.slf4j.Logger target = org.slf4j.LoggerFactory.getLogger(name);
    boolean printf = FormatterLogger.class.isAssignableFrom(type);
    return proxy(
        type,
        (proxy, method, args) -> {
          Object[] a = args == null ? new Object[0] : args;
          String called = method.getName();
          if (called.equals("getName")) {
            return name;
          }
          if (called.startsWith("is") && called.endsWith("Enabled")) {
            return target.isEnabledForLevel(
                slf4j(called.substring(2, called.length() - "Enabled".length())));
          }
          if (method.getDeclaringClass() == Object.class) {
            return ofObject(proxy, called, a);
          }
          Level level = slf4j(called);
          if (target.isEnabledForLevel(level)) {
            say(target, level, (org.osgi.service.log.Logger) proxy, printf, a);
          }
          return null;
        });
  }

  private static void say(
      org.slf4j.Logger target,
      Level level,
      org.osgi.service.log.Logger proxy,
      boolean printf,
      Object[] args)
      throws Exception {
    if (args[0] instanceof LoggerConsumer<?> consumer) {
      consumer.accept(proxy);
      return;
    }
    Object[] values =
        args.length == 2 && args[1] instanceof Object[] many
            ? many
            : Arrays.copyOfRange(args, 1, args.length);
    String message = String.valueOf(args[0]);
    if (printf && values.length > 0) {
      target.atLevel(level).log(String.format(message, values));
    } else {
      target.atLevel(level).log(message, values);
    }
  }

  private static Level slf4j(String name) {
    LogLevel level = LogLevel.valueOf(name.toUpperCase(java.util.Locale.ROOT));
    // AUDIT means "always written", which in SLF4J is the highest level there is.
    return level == LogLevel.AUDIT ? Level.ERROR : Level.valueOf(level.name());
  }

  private static Object ofObject(Object proxy, String method, Object[] args) {
    return switch (method) {
      case "equals" -> proxy == args[0];
      case "hashCode" -> System.identityHashCode(proxy);
      default -> "SLF4J behind the OSGi Log Service";
    };
  }

  private static Object proxy(Class<?> type, InvocationHandler handler) {
    return Proxy.newProxyInstance(
        FrameworkLog.class.getClassLoader(), new Class<?>[] {type}, handler);
  }
}
