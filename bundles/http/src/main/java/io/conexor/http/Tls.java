package io.conexor.http;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import org.eclipse.jetty.util.ssl.SslContextFactory;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The server's certificate from PEM files or a PKCS #12 store, loaded anew when the files change.
 */
final class Tls {

  private static final Logger log = LoggerFactory.getLogger(Tls.class);
  private static final String PASSWORD = "memory-only";

  private final Settings settings;
  private final SslContextFactory.Server factory = new SslContextFactory.Server();
  private long loaded;

  Tls(Settings settings) throws IOException, GeneralSecurityException {
    this.settings = settings;
    this.loaded = modified();
    apply(factory);
  }

  SslContextFactory.Server factory() {
    return factory;
  }

  /** Called now and then; keeps the old certificate when the new one can't be read. */
  void reloadWhenChanged() {
    try {
      long now = modified();
      if (now != loaded) {
        loaded = now;
        factory.reload(
            f -> {
              try {
                apply((SslContextFactory.Server) f);
              } catch (IOException | GeneralSecurityException e) {
                throw new IllegalStateException(e);
              }
            });
        log.info("certificate loaded anew");
      }
    } catch (Exception e) { // reload() declares nothing narrower
      log.error("the changed certificate can't be used; the old one stays", e);
    }
  }

  private long modified() throws IOException {
    long sum = 0;
    for (String file : new String[] {settings.certificate(), settings.key(), settings.keystore()}) {
      if (!file.isEmpty()) {
        sum = sum * 31 + Files.getLastModifiedTime(Path.of(file)).toMillis();
      }
    }
    return sum;
  }

  private void apply(SslContextFactory.Server target) throws IOException, GeneralSecurityException {
    KeyStore store = KeyStore.getInstance("PKCS12");
    if (!settings.keystore().isEmpty()) {
      char[] password = settings.keystorePassword().toCharArray();
      try (InputStream in = Files.newInputStream(Path.of(settings.keystore()))) {
        store.load(in, password);
      }
      target.setKeyStore(store);
      target.setKeyStorePassword(settings.keystorePassword());
      return;
    }
    store.load(null, null);
    Certificate[] chain;
    try (InputStream in = Files.newInputStream(Path.of(settings.certificate()))) {
      chain =
          CertificateFactory.getInstance("X.509")
              .generateCertificates(in)
              .toArray(Certificate[]::new);
    }
    store.setKeyEntry("server", privateKey(Path.of(settings.key())), PASSWORD.toCharArray(), chain);
    target.setKeyStore(store);
    target.setKeyStorePassword(PASSWORD);
  }

  private static PrivateKey privateKey(Path file) throws IOException, GeneralSecurityException {
    String pem = Files.readString(file, StandardCharsets.US_ASCII);
    String begin = "-----BEGIN PRIVATE KEY-----";
    int from = pem.indexOf(begin);
    int to = pem.indexOf("-----END PRIVATE KEY-----");
    if (from < 0 || to < from) {
      throw new InvalidKeySpecException(
          file
              + " holds no unencrypted PKCS #8 key; convert it with: openssl pkcs8 -topk8 -nocrypt");
    }
    byte[] der = Base64.getMimeDecoder().decode(pem.substring(from + begin.length(), to));
    for (String algorithm : new String[] {"RSA", "EC", "EdDSA"}) {
      try {
        return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(der));
      } catch (InvalidKeySpecException e) {
        log.debug("not a key of type {}", algorithm);
      }
    }
    throw new InvalidKeySpecException(file + " holds a key of an unknown kind");
  }
}
