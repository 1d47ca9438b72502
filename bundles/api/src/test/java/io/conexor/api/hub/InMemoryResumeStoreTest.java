package io.conexor.api.hub;

/** The fake keeps the contract. */
class InMemoryResumeStoreTest extends ResumeStoreContract {
  private final InMemoryResumeStore store = new InMemoryResumeStore();

  @Override
  protected ResumeStore store() {
    return store;
  }
}
