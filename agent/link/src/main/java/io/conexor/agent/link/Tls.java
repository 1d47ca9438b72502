package io.conexor.agent.link;

import io.conexor.api.Secret;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.Collection;
import java.util.Optional;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.jspecify.annotations.Nullable;

/** Whom to trust and how to prove who we are; everything empty means the JVM's defaults. */
record Tls(
    String caFile,
    String trustStoreFile,
    Secret trustStorePassword,
    String keyStoreFile,
    Secret keyStorePassword) {

  static final Tls DEFAULTS = new Tls("", "", new Secret(""), "", new Secret(""));

  /** Empty when the defaults do. */
  Optional<SSLContext> context() {
    if (caFile.isBlank() && trustStoreFile.isBlank() && keyStoreFile.isBlank()) {
      return Optional.empty();
    }
    if (!caFile.isBlank() && !trustStoreFile.isBlank()) {
      throw LinkSettings.wrong("tls.ca.file", "and tls.truststore.file exclude each other");
    }
    try {
      TrustManagerFactory trust =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      trust.init(trusted());
      KeyManagerFactory keys =
          KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
      SSLContext context = SSLContext.getInstance("TLS");
      if (keyStoreFile.isBlank()) {
        context.init(null, trust.getTrustManagers(), null);
      } else {
        char[] password = keyStorePassword.reveal().toCharArray();
        keys.init(keyStore("tls.keystore.file", keyStoreFile, password), password);
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
      }
      return Optional.of(context);
    } catch (GeneralSecurityException e) {
      throw new IllegalArgumentException(
          LinkConfig.PID + ": TLS can not be set up: " + e.getMessage(), e);
    }
  }

  /** Null stands for the JVM's own. */
  private @Nullable KeyStore trusted() throws GeneralSecurityException {
    if (!trustStoreFile.isBlank()) {
      return keyStore(
          "tls.truststore.file", trustStoreFile, trustStorePassword.reveal().toCharArray());
    }
    return caFile.isBlank() ? null : certificates();
  }

  private KeyStore certificates() throws GeneralSecurityException {
    try (InputStream in = Files.newInputStream(Path.of(caFile))) {
      KeyStore store = KeyStore.getInstance("PKCS12");
      store.load(null, null);
      Collection<? extends Certificate> found =
          CertificateFactory.getInstance("X.509").generateCertificates(in);
      if (found.isEmpty()) {
        throw LinkSettings.wrong("tls.ca.file", "= '" + caFile + "' holds no certificate");
      }
      int number = 0;
      for (Certificate certificate : found) {
        store.setCertificateEntry("ca-" + number++, certificate);
      }
      return store;
    } catch (IOException e) {
      throw new IllegalArgumentException(
          "%s: tls.ca.file = '%s' can not be read: %s"
              .formatted(LinkConfig.PID, caFile, e.getMessage()),
          e);
    }
  }

  private static KeyStore keyStore(String key, String file, char[] password)
      throws GeneralSecurityException {
    try (InputStream in = Files.newInputStream(Path.of(file))) {
      KeyStore store = KeyStore.getInstance("PKCS12");
      store.load(in, password);
      return store;
    } catch (IOException e) {
      throw new IllegalArgumentException(
          "%s: %s = '%s' can not be read: %s".formatted(LinkConfig.PID, key, file, e.getMessage()),
          e);
    }
  }
}
