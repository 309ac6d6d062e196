import './style/base.css'
import { mount } from 'svelte'
import App from './App.svelte'
import { start } from './engine/page'
import { app } from './state.svelte'

app.load(location.hash)
start()
export default mount(App, { target: document.getElementById('app')! })
