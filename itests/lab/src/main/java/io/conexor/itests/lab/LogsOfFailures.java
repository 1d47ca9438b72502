package io.conexor.itests.lab;

import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.TestExecutionExceptionHandler;

/** Prints the ends of the logs of all backends and agents when a test fails. */
public final class LogsOfFailures implements TestExecutionExceptionHandler {

  @Override
  public void handleTestExecutionException(ExtensionContext context, Throwable failure)
      throws Throwable {
    System.err.println(context.getDisplayName() + " failed; the processes said last:");
    System.err.println(ProductProcess.tails(60));
    throw failure;
  }
}
