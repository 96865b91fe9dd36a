// Buttons that copy what stands beside them. Without JavaScript they stay hidden.
for (const button of document.querySelectorAll('button[data-copy]')) {
  const label = button.firstChild
  button.hidden = false
  button.addEventListener('click', async () => {
    const source = document.getElementById(button.dataset.copy)
    try {
      await navigator.clipboard.writeText(source.textContent)
      label.data = 'Copied'
    } catch {
      getSelection().selectAllChildren(source)
    }
  })
}
