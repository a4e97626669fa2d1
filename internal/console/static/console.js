// The little that needs JavaScript: copying, the reader's own time, Escape in dialogs. Every page works without it.
(() => {
  'use strict'

  // Times: the server wrote UTC; show the reader's own and keep UTC in the title.
  const near = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })
  const exact = new Intl.DateTimeFormat(undefined, {
    year: 'numeric', month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit', second: '2-digit', timeZoneName: 'short'
  })
  for (const t of document.querySelectorAll('time.local')) {
    t.textContent = (t.classList.contains('instant') ? exact : near).format(new Date(t.dateTime))
  }

  // Copying.
  const status = document.getElementById('status')
  for (const b of document.querySelectorAll('button[data-copy]')) {
    if (!navigator.clipboard) continue
    b.hidden = false
    b.addEventListener('click', async () => {
      const label = b.firstElementChild
      const before = label.textContent
      try {
        await navigator.clipboard.writeText(document.getElementById(b.dataset.copy).textContent)
        label.textContent = 'Copied'
        status.textContent = b.dataset.what + ' copied'
      } catch {
        label.textContent = 'Not copied'
        status.textContent = 'The browser did not allow copying. Select the text and copy it by hand.'
      }
      setTimeout(() => { label.textContent = before }, 2000)
    })
  }

  // A dialog is a page; Escape leaves it as its Cancel link does. One that shows a secret has none: it must be finished.
  const cancel = document.querySelector('dialog [data-cancel]')
  if (cancel) {
    document.addEventListener('keydown', e => { if (e.key === 'Escape') cancel.click() })
  }

  // A form is sent once, however often its button is pressed.
  for (const f of document.querySelectorAll('form[method=post]')) {
    f.addEventListener('submit', e => {
      if (f.dataset.sent) e.preventDefault()
      f.dataset.sent = 'yes'
    })
  }

  // What is shown once leaves the page with the reader: neither Back nor the browser's page cache may bring it again.
  const once = document.querySelector('[data-shown-once]')
  if (once) {
    history.replaceState(null, '', once.dataset.shownOnce)
    addEventListener('pagehide', () => {
      for (const s of document.querySelectorAll('[data-secret]')) s.textContent = ''
    })
  }
  addEventListener('pageshow', e => {
    if (!e.persisted) return
    if (once) location.reload()
    for (const f of document.forms) delete f.dataset.sent
  })

  // All of an API's privileges at once.
  for (const b of document.querySelectorAll('button[data-all]')) {
    const boxes = [...b.closest('fieldset').querySelectorAll('input[type=checkbox]:not(:disabled)')]
    if (boxes.length < 2) continue
    const label = () => { b.firstElementChild.textContent = boxes.every(x => x.checked) ? 'Turn all off' : 'Turn all on' }
    b.hidden = false
    b.addEventListener('click', () => {
      const on = !boxes.every(x => x.checked)
      for (const x of boxes) x.checked = on
      label()
    })
    for (const x of boxes) x.addEventListener('change', label)
    label()
  }
})()
